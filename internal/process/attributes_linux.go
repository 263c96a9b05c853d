package process

import "syscall"

// attributes make a child process end with the one that started it, even when that is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
