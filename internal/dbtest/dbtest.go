// Package dbtest starts real PostgreSQL and MariaDB servers for tests, from the
// binaries that are installed. Each is reached by a socket in a folder of its own, and
// keeps everything there.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"   // opens MariaDB
	_ "github.com/jackc/pgx/v5/stdlib" // and PostgreSQL

	"github.com/caregate/caregate/internal/process"
)

// start is how long a server may take to answer, on a busy machine.
const start = 3 * time.Minute

// Errors that say that there is no server to start, and what to do.
var (
	errPostgreSQL = errors.New("the tests start PostgreSQL, and initdb and postgres are not installed; " +
		`run "make databases" as root, or install it (Debian: apt-get install postgresql)`)
	errMariaDB = errors.New("the tests start MariaDB, and mariadbd and mariadb-install-db are not installed; " +
		`run "make databases" as root, or install it (Debian: apt-get install mariadb-server)`)
)

// Server is one database server.
type Server struct {
	dir     string
	process *process.Process
	quit    syscall.Signal
	open    func(database string, settings map[string]string) (*sql.DB, error)
}

// StartPostgreSQL starts PostgreSQL and waits until it answers. There is a database
// "postgres", in UTF-8.
func StartPostgreSQL() (*Server, error) {
	initdb, postgres := find("initdb"), find("postgres")
	if initdb == "" || postgres == "" {
		return nil, errPostgreSQL
	}
	s := &Server{quit: syscall.SIGQUIT}
	s.open = func(database string, settings map[string]string) (*sql.DB, error) {
		dsn := "host=" + s.dir + " user=caregate dbname=" + database
		for name, value := range settings {
			dsn += " " + name + "=" + value
		}
		return sql.Open("pgx", dsn)
	}
	data := func() string { return filepath.Join(s.dir, "data") }
	return s, s.start("postgresql", []string{"postgres", "nobody"},
		func() *exec.Cmd {
			return exec.Command(initdb, "-D", data(), "-U", "caregate", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync") //nolint:noctx // it ends by itself
		},
		func() *exec.Cmd {
			return exec.Command(postgres, "-D", data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off") //nolint:noctx // it ends with Stop
		}, "postgres")
}

// StartMariaDB starts MariaDB and waits until it answers. There is a database "mysql",
// and the user root may make others.
func StartMariaDB() (*Server, error) {
	install, mariadbd := find("mariadb-install-db"), find("mariadbd")
	if install == "" || mariadbd == "" {
		return nil, errMariaDB
	}
	s := &Server{quit: syscall.SIGKILL}
	s.open = func(database string, settings map[string]string) (*sql.DB, error) {
		config := mysql.NewConfig()
		config.User, config.Net, config.Addr, config.DBName = "root", "unix", filepath.Join(s.dir, "socket"), database
		config.Params = map[string]string{}
		for name, value := range settings {
			if name == "interpolateParams" {
				config.InterpolateParams = value == "true"
			} else {
				config.Params[name] = value
			}
		}
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(connector), nil
	}
	data := func() string { return "--datadir=" + filepath.Join(s.dir, "data") }
	return s, s.start("mariadb", []string{"mysql", "nobody"},
		func() *exec.Cmd {
			return exec.Command(install, "--no-defaults", data(), "--auth-root-authentication-method=normal", "--skip-test-db") //nolint:noctx // it ends by itself
		},
		func() *exec.Cmd {
			return exec.Command(mariadbd, "--no-defaults", data(), "--skip-networking", "--socket="+filepath.Join(s.dir, "socket"), //nolint:noctx // it ends with Stop
				"--pid-file="+filepath.Join(s.dir, "pid"), "--tmpdir="+s.dir, "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")
		}, "mysql")
}

// start makes a folder, fills it, and runs a server there, under one of some users
// when this process is root's, under which no such server runs.
func (s *Server) start(name string, users []string, fill, serve func() *exec.Cmd, database string) (err error) {
	// A test's own folder is not for other users to look into.
	if s.dir, err = os.MkdirTemp("", "caregate-"+name+"-"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	as, err := credential(users)
	if err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	filling := fill()
	filling.Dir, filling.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as}
	if said, err := filling.CombinedOutput(); err != nil {
		return fmt.Errorf("%s cannot fill its folder: %w\n%s", name, err, said)
	}
	serving := serve()
	serving.Dir, serving.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as, Pdeathsig: s.quit}
	if s.process, err = process.Start(serving); err != nil {
		return err
	}
	db, err := s.Open(database, nil)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	limited, cancel := context.WithTimeout(context.Background(), start)
	defer cancel()
	return s.process.Await(limited, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return db.PingContext(ctx)
	})
}

// Open opens a database of the server, with settings of the driver or the session.
func (s *Server) Open(database string, settings map[string]string) (*sql.DB, error) {
	return s.open(database, settings)
}

// Stop ends the server and removes what it kept.
func (s *Server) Stop() {
	if s.process != nil {
		_ = s.process.Stop(s.quit, start)
	}
	_ = os.RemoveAll(s.dir)
}

// find returns the path of a program, "" where there is none. Debian keeps servers
// where only root looks, and PostgreSQL's by version.
func find(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	slices.SortFunc(versions, func(a, b string) int { return version(b) - version(a) })
	for _, path := range append(versions, filepath.Join("/usr/sbin", program)) {
		if info, err := os.Stat(path); err == nil && !errors.Is(err, fs.ErrNotExist) && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// version is that of a path of PostgreSQL's.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// credential returns the user under whom a server runs that does not run as root; nil
// for whoever runs this, when that is not root.
func credential(users []string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no other user
	}
	for _, name := range users {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("database servers do not run as root, and there is none of the users %q; run the tests as another user", users)
}
