package review

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// Opened is opened, for tests.
func (s *Service) Opened(ctx context.Context, organisation string, before, after *authz.Residual, at authz.Revision) (int, error) {
	return s.opened(ctx, organisation, before, after, at)
}
