package compat

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/otelnet/agent/e2e/internal/stack"
)

// postgresUser runs the server when the tests run as root, which PostgreSQL refuses. Debian's package makes the account.
const postgresUser = "postgres"

// startPostgres starts an empty server on a free port of loopback, which speaks TLS to those who ask for it, and returns its
// address and what a client needs to trust it. Anybody may log in as postgres.
func startPostgres(t *testing.T) (addr string, client *tls.Config) {
	t.Helper()
	initdb, postgres := postgresProgram(t, "initdb"), postgresProgram(t, "postgres")
	// Not below the repository: its directories need not be open to the server's account.
	dir, err := os.MkdirTemp("", "otelnet-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, client := certificate(t)
	writePEM(t, dir, server.Certificates[0])
	if os.Geteuid() == 0 {
		giveAway(t, dir)
	}

	data := filepath.Join(dir, "data")
	made := stack.Start(t, stack.Command{
		Name: "initdb", Path: initdb, Dir: dir, User: postgresUser,
		Args: []string{"-D", data, "-U", postgresUser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
	})
	if code := made.Wait(t, 4*patience); code != 0 {
		t.Fatalf("initdb ended with %d:\n%s", code, made.Log(t))
	}
	addr = stack.FreeAddr(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	process := stack.Start(t, stack.Command{
		Name: "postgres", Path: postgres, Dir: dir, User: postgresUser,
		Args: []string{
			"-D", data, "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=", "-c", "fsync=off",
			"-c", "ssl=on", "-c", "ssl_cert_file=" + filepath.Join(dir, "cert.pem"), "-c", "ssl_key_file=" + filepath.Join(dir, "key.pem"),
		},
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL's log:\n%s", process.Log(t))
		}
	})
	stack.Until(t, patience, "PostgreSQL answers", func(ctx context.Context) error {
		if process.Exited() {
			t.Fatal("PostgreSQL has ended")
		}
		conn, err := pgx.Connect(ctx, "postgres://"+postgresUser+"@"+addr+"/postgres?sslmode=disable")
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	return addr, client
}

// postgresProgram finds a program that Debian keeps out of the PATH, of the newest version that is installed.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	paths, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) > 0 {
		return slices.Max(paths)
	}
	return stack.Program(t, name, "postgresql")
}

// writePEM writes cert.pem and key.pem.
func writePEM(t *testing.T, dir string, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"key.pem":  {Type: "EC PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// giveAway makes the server's account the owner of the directory and of what is in it.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	uid, gid := stack.Account(t, postgresUser)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(uid), int(gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}
