// SPDX-License-Identifier: Apache-2.0
// What a Go program does: goroutines that are preempted, garbage, files, a server on its own loopback, a program.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

func main() {
	var group sync.WaitGroup
	var sums [8]int
	for g := range sums {
		group.Add(1)
		go func(g int) {
			defer group.Done()
			for i := 0; i < 20000000; i++ {
				sums[g] += i & 1
			}
		}(g)
	}
	group.Wait()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "served") }))
	reply, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(reply.Body)
	server.Close()
	if err := os.WriteFile("/tmp/made", []byte("written"), 0600); err != nil {
		panic(err)
	}
	read, _ := os.ReadFile("/tmp/made")
	program := "ran"
	if err := exec.Command("/usr/bin/true").Run(); err != nil {
		program = err.Error()
	}
	runtime.GC()
	time.Sleep(5 * time.Millisecond)
	event, _ := io.ReadAll(os.Stdin)
	fmt.Println("go", sums[7], string(body), string(read), program, len(event))
}
