// SPDX-License-Identifier: MIT OR Apache-2.0

// Goroutines that compute, and are preempted by signals for it, that wait for timers, and that talk,
// until stdin ends: says "ok" if each result is right.
package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var stopping atomic.Bool
var group sync.WaitGroup

func fail(what string) {
	fmt.Println(what)
	os.Exit(1)
}

func compute() {
	defer group.Done()
	for !stopping.Load() {
		sum := uint64(0)
		for i := uint64(1); i <= 30_000_000; i++ {
			sum += i * i
		}
		if sum != 9000000450000005000000 % (1 << 64) {
			fail("a wrong sum")
		}
	}
}

func wait() {
	defer group.Done()
	for !stopping.Load() {
		begin := time.Now()
		time.Sleep(time.Millisecond)
		if time.Since(begin) < time.Millisecond {
			fail("a short sleep")
		}
	}
}

func talk() {
	defer group.Done()
	numbers := make(chan int)
	go func() {
		for i := 0; !stopping.Load(); i++ {
			numbers <- i
		}
		close(numbers)
	}()
	next := 0
	for number := range numbers {
		if number != next {
			fail("a lost number")
		}
		next++
	}
}

func main() {
	for _, work := range []func(){compute, compute, wait, wait, wait, talk} {
		group.Add(1)
		go work()
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	stopping.Store(true)
	group.Wait()
	fmt.Println("ok")
}
