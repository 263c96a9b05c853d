package acceptance

import "syscall"

// childAttributes makes a child process end with the test binary, even when
// that is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
