// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory that the runtime gives back, goroutines on many threads, a child process, whose errors
// are part of the output with an argument.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"runtime/debug"
	"sync"
)

func work(number int) int {
	total := 0
	for i := 0; i < 50; i++ {
		total += len(make([]byte, 64<<10)) + number
	}
	return total
}

func main() {
	for round := 0; round < 3; round++ {
		block := make([]byte, 16<<20)
		for i := range block {
			block[i] = byte(round)
		}
		block = nil
		debug.FreeOSMemory()
	}
	var group sync.WaitGroup
	totals := make([]int, 64)
	for i := range totals {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			runtime.LockOSThread()
			totals[i] = work(i)
		}(i)
	}
	group.Wait()
	sum := 0
	for _, total := range totals {
		sum += total
	}
	fmt.Println(sum)
	// By libc where there is cgo.
	found, err := user.LookupId("0")
	fmt.Println(found.Username, err)
	child := exec.Command("sh", "-c", "echo child")
	if len(os.Args) > 1 {
		child.Stderr = os.Stdout
	}
	output, err := child.Output()
	fmt.Printf("%s%v\n", output, err)
}
