package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// stage is what a section has at hand. What it starts or writes there ends with it.
type stage struct {
	config
	progress     io.Writer
	root         string // the folder of go.mod
	organisation *organisation
	service      *authz.Service // answers about organisation, by the embedded policy
	questions    []question
	folder       string // for the section only
	children     []*child
	redises      []redisServer
}

// measure takes the measurements of the sections, one after the other.
func measure(ctx context.Context, cfg config, progress io.Writer) (tables []*table, err error) {
	err = attempt(func() {
		s := &stage{config: cfg, progress: progress, root: moduleRoot(ctx), organisation: newOrganisation(patientCount)}
		s.service = authz.NewService(s.organisation, defaultPolicy(ctx, policy.Config{}))
		s.questions = ask(ctx, s.organisation, s.service, cfg.each)
		s.say("the organisation: %d members, %d patient groups, %d patients", memberCount, patientGroupCount, patientCount)
		for _, section := range sections() {
			if cfg.only == "" || cfg.only == section.name {
				s.say("%s", section.progress)
				tables = append(tables, s.perform(ctx, section))
			}
		}
	})
	return tables, err
}

// perform measures one section.
func (s *stage) perform(ctx context.Context, section section) (t *table) {
	s.folder = must(os.MkdirTemp("", "caregate-bench-"))
	defer func() {
		s.stop(slices.Clone(s.children)...)
		for _, r := range s.redises {
			r.Kill()
		}
		s.redises = nil
		_ = os.RemoveAll(s.folder)
	}()
	if err := attempt(func() { t = section.measure(ctx, s) }); err != nil {
		for _, child := range s.children {
			err = errors.Join(err, child.Died())
		}
		check(cmp.Or(ctx.Err(), err))
	}
	return t
}

func (s *stage) say(format string, args ...any) { _, _ = fmt.Fprintf(s.progress, format+"\n", args...) }

// failure is an error on its way up to attempt.
type failure struct{ error }

// check ends the measurements with err, unless it is nil. It is for the goroutine that
// measures: others return their errors.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// must returns value, or ends the measurements like check.
func must[T any](value T, err error) T {
	check(err)
	return value
}

// attempt calls f and returns the error with which a check in it failed.
func attempt(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// during has work done in the background while f is called, and then ends its context.
func during(ctx context.Context, work func(context.Context) error, f func()) {
	working, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- work(working) }()
	err := attempt(f)
	stop()
	check(errors.Join(err, <-done))
}
