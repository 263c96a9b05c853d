package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// binary measures the stripped binary, and how long caregate serve takes from its
// start to its readiness with the embedded example.
func binary(ctx context.Context, s *stage) *table {
	path := filepath.Join(s.folder, "caregate")
	must(goCommand(ctx, []string{"CGO_ENABLED=0"}, "-C", s.root, "build", "-trimpath", "-tags", "grpcnotrace,nosqlite",
		"-ldflags", "-s -w", "-o", path, "./cmd/caregate"))
	size := must(os.Stat(path)).Size()
	start := &contender{name: "caregate serve", turn: func(ctx context.Context) (ready, _ float64) {
		addr, diagnostic, admin := freeAddress(ctx), freeAddress(ctx), freeAddress(ctx)
		began := time.Now()
		p := must(s.start(ctx, addr, answers("http://"+diagnostic+"/health/ready"),
			path, "serve", "--addr", addr, "--diagnostic-addr", diagnostic, "--admin-addr", admin))
		ready = milliseconds(began)
		s.stop(p)
		return ready, 0
	}}
	s.takeTurns(ctx, s.rounds, "ms", []*contender{start})
	return &table{bounds: []bound{
		{"stripped binary, bytes", spread{float64(size)}, atMost, 39_999_999},
		{"caregate serve to ready, ms", start.value, atMost, 1000},
	}}
}
