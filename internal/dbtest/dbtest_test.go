package dbtest

import (
	"os"
	"syscall"
	"testing"
)

func TestServersStartAndStop(t *testing.T) {
	for name, start := range map[string]func() (*Server, error){"PostgreSQL": StartPostgreSQL, "MariaDB": StartMariaDB} {
		t.Run(name, func(t *testing.T) {
			s, err := start()
			if err != nil {
				t.Fatal(err)
			}
			database := map[string]string{"PostgreSQL": "postgres", "MariaDB": "mysql"}[name]
			db, err := s.Open(database, nil)
			if err != nil {
				t.Fatal(err)
			}
			var two int
			if err := db.QueryRow("SELECT 1 + 1").Scan(&two); err != nil || two != 2 {
				t.Errorf("1 + 1 = %d, %v", two, err)
			}
			_ = db.Close()
			s.Stop()
			if err := s.process.Signal(syscall.Signal(0)); err == nil {
				t.Error("the server runs on")
			}
			if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
				t.Errorf("its folder is left: %v", err)
			}
		})
	}
}
