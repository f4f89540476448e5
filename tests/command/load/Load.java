// SPDX-License-Identifier: MIT OR Apache-2.0
// Threads with timed waits, queues, a monitor and garbage, until stdin ends: says "ok" if each result
// is right and none was interrupted.
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

public class Load {
  interface Work {
    void once() throws Exception;
  }

  static volatile boolean stopping;
  static volatile String failure;
  static final List<Thread> threads = new ArrayList<>();

  static void start(Work work) {
    Thread thread = new Thread(() -> {
      try {
        while (!stopping) {
          work.once();
        }
      } catch (Exception problem) {
        failure = problem.toString();
      }
    });
    threads.add(thread);
    thread.start();
  }

  static void must(boolean good, String what) {
    if (!good) {
      throw new IllegalStateException(what);
    }
  }

  static void sleep() throws Exception {
    long begin = System.nanoTime();
    Thread.sleep(2);
    must(System.nanoTime() - begin >= 2_000_000, "a short sleep");
  }

  static void waitForNobody() throws Exception {
    Object monitor = new Object();
    synchronized (monitor) {
      monitor.wait(3);
    }
    LockSupport.parkNanos(100_000);
  }

  static void collect() {
    List<byte[]> garbage = new ArrayList<>();
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
      garbage.add(new byte[10_000]);
      garbage.get(i)[i] = 1;
    }
    for (int i = 0; i < 200; ++i) {
      sum += garbage.get(i)[i];
    }
    must(sum == 200, "a wrong sum");
  }

  public static void main(String[] arguments) throws Exception {
    SynchronousQueue<Integer> queue = new SynchronousQueue<>();
    int[] next = {0, 0};
    start(() -> {
      if (queue.offer(next[0], 5, TimeUnit.MILLISECONDS)) {
        ++next[0];
      }
    });
    start(() -> {
      Integer number = queue.poll(5, TimeUnit.MILLISECONDS);
      must(number == null || number == next[1]++, "a lost number");
    });
    start(Load::sleep);
    start(Load::waitForNobody);
    start(Load::collect);
    System.out.println("ready");
    System.in.read();
    stopping = true;
    for (Thread thread : threads) {
      thread.join();
    }
    System.out.println(failure == null ? "ok" : failure);
  }
}
