// SPDX-License-Identifier: MIT OR Apache-2.0
// Garbage of many generations, threads, direct memory, a mapped file, a child process.
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.stream.IntStream;

public class Work {
  static long garbage() {
    var kept = new ArrayList<byte[]>();
    long sum = 0;
    for (int i = 0; i < 20000; ++i) {
      kept.add(new byte[1024]);
      if (kept.size() > 2000) {
        kept.clear();
      }
      sum += kept.size();
    }
    return sum;
  }

  public static void main(String[] arguments) throws Exception {
    System.out.println(IntStream.range(0, 4).parallel().mapToLong(i -> garbage()).sum());
    System.gc();
    System.out.println(ByteBuffer.allocateDirect(4 << 20).capacity());
    var path = Files.write(Path.of("mapped"), new byte[1 << 20]);
    try (var file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      var mapped = file.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20).load();
      mapped.put(0, (byte) 7);
      mapped.force();
      System.out.println(mapped.isLoaded());
    }
    System.out.println(Files.readAllBytes(path)[0]);
    var child = new ProcessBuilder("sh", "-c", "echo child").redirectErrorStream(true).start();
    System.out.print(new String(child.getInputStream().readAllBytes()));
    System.out.println(child.waitFor());
  }
}
