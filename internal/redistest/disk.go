package redistest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// What Linux calls these; package syscall does not have them.
const (
	ptraceSeize     = 0x4206
	ptraceInterrupt = 0x4207
	waitAll         = 0x40000000 // threads too
)

// StallDisk is a disk that takes no more: it stops the thread of the server that has
// the disk write its log of changes, and no other. The server goes on, and with
// appendfsync everysec keeps what it acknowledges for up to two seconds in memory
// alone. Kill and the function that is returned end it; one of them has to be called.
func (s *Server) StallDisk() (resume func(), err error) {
	var thread int
	if err := Await(settle, "the server has started the thread", func() bool {
		thread, err = s.thread("bio_aof")
		return err == nil
	}); err != nil {
		return nil, err
	}
	started, end, ended := make(chan error), make(chan bool), make(chan bool)
	go func() { // a tracer is one thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		var state syscall.WaitStatus
		err := ptrace(ptraceSeize, thread)
		if err == nil {
			err = ptrace(ptraceInterrupt, thread)
		}
		if err == nil {
			_, err = syscall.Wait4(thread, &state, waitAll, nil)
		}
		started <- err
		if err != nil {
			return
		}
		<-end
		if ptrace(syscall.PTRACE_DETACH, thread) != nil { // it was killed; whoever waits for the server waits for this as well
			_, _ = syscall.Wait4(thread, &state, waitAll, nil)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("stop the thread that writes to the disk: %w", err)
	}
	resumed := false
	s.resume = func() {
		if !resumed {
			resumed = true
			close(end)
			<-ended
		}
	}
	return s.resume, nil
}

func ptrace(request, thread int) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(thread), 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// thread returns the thread of the server whose name begins like this.
func (s *Server) thread(name string) (int, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", s.PID()))
	if err != nil {
		return 0, err
	}
	for _, file := range threads {
		if comm, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(comm), name) {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, errors.New("the server has no thread " + name)
}
