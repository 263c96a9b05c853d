package main

import (
	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/directory"
)

// redisConnection says which Redis holds the facts, and whom the two trust.
type redisConnection struct {
	url           string
	ca, cert, key string // files
}

func (r *redisConnection) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.url, "redis", "", "`URL` of the Redis that holds the facts: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
	flags.StringVar(&r.ca, "redis-ca", "", "with rediss: trust only Redis servers with a certificate that those in this PEM `file` signed, instead of those that the system trusts")
	flags.StringVar(&r.cert, "redis-cert", "", "with rediss: show Redis the certificate in this PEM `file`")
	flags.StringVar(&r.key, "redis-key", "", "its key, a PEM `file`")
	for _, name := range []string{"redis-ca", "redis-cert", "redis-key"} {
		must(cmd.MarkFlagFilename(name))
	}
}

// config returns how a directory connects.
func (r *redisConnection) config() directory.Config {
	return directory.Config{URL: r.url, CA: r.ca, Cert: r.cert, Key: r.key}
}

// unused returns an error if certificates are given for a Redis that is not.
func (r *redisConnection) unused() error {
	if r.url != "" || r.ca == "" && r.cert == "" && r.key == "" {
		return nil
	}
	return usagef("--redis: is missing beside --redis-ca, --redis-cert or --redis-key; name the Redis that they are for")
}
