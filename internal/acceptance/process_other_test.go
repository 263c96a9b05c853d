//go:build !linux

package acceptance

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
