package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The bounds of the binary: bytes, and milliseconds to readiness.
const (
	boundSize  = 40_000_000
	boundReady = 1000
)

// binary measures the stripped binary, and how long caregate serve takes from its
// start to its readiness with the embedded example.
func binary(ctx context.Context, root string, rounds int) (*result, error) {
	folder, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "caregate")
	_, err = goCommand(ctx, []string{"CGO_ENABLED=0"}, "-C", root, "build", "-trimpath", "-tags", "grpcnotrace,nosqlite", "-ldflags", "-s -w", "-o", path, "./cmd/caregate")
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	size := spread{float64(info.Size())}
	var starts spread
	for range rounds {
		took, err := startup(ctx, path)
		if err != nil {
			return nil, err
		}
		starts = append(starts, float64(took.Microseconds())/1e3)
	}
	res := &result{title: "The binary"}
	res.check("stripped binary, bytes", size, atMost, boundSize-1)
	res.check("caregate serve to ready, ms", starts, atMost, boundReady)
	return res, nil
}

// startup starts caregate serve and returns the time until it is ready.
func startup(ctx context.Context, path string) (time.Duration, error) {
	addrs := make([]string, 3)
	for i := range addrs {
		var err error
		if addrs[i], err = freePort(ctx); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	p, err := start(ctx, io.Discard, path, "serve", "--addr", addrs[0], "--diagnostic-addr", addrs[1], "--admin-addr", addrs[2])
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := p.ready(ctx, "http://"+addrs[1]+"/health/ready", 2*time.Millisecond, 30*time.Second); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}
