package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/otelnet"
)

// pgx over a dialer of ours, plain and under TLS: queries, a batch, COPY in, a large answer, notifications, and a query that is
// given up half-way.
func TestPostgres(t *testing.T) {
	addr, trust := startPostgres(t)
	for name, config := range map[string]*tls.Config{"Plain": nil, "TLS": trust} {
		t.Run(name, func(t *testing.T) {
			m := newMeter()
			wire := startRelay(t, addr)
			pool := postgresPool(t, m, wire.addr(), config)
			ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
			defer cancel()

			for i := range 20 {
				var got int
				if err := pool.QueryRow(ctx, "select $1::int + 1", i).Scan(&got); err != nil || got != i+1 {
					t.Fatalf("select: got %d, %v, want %d", got, err, i+1)
				}
			}
			copyInAndOut(ctx, t, pool, 2000, 1000)
			sendBatch(ctx, t, pool, 50)
			notify(ctx, t, pool)
			m.wantFlow(t, otelnet.SideClient, wire.client)
			if got := wire.client(); got.Sent < 2_000_000 || got.Received < 2_000_000 {
				t.Errorf("the relay saw %+v, less than what was copied", got)
			}

			giveUp(ctx, t, pool)
			pool.Close()
			m.wantTotal(t, 0, "otelnet.client.active_connections")
			m.wantSent(t, otelnet.SideClient, wire.client)
			// A deadline that pgx sets to wake its own read up is no failure of the network.
			if got := m.total("otelnet.connection.errors"); got != 0 {
				t.Errorf("connections that an error ended: got %d, want 0", got)
			}
			closed, opened := m.total("otelnet.client.connection.duration"), m.total("otelnet.client.connections")
			if closed != opened || opened == 0 {
				t.Errorf("connections: %d closed, %d opened, want the same number", closed, opened)
			}
			if got := m.total("otelnet.client.dial.duration", attribute.String("server.address", "127.0.0.1")); got != opened {
				t.Errorf("dials: got %d, want one for each of %d connections", got, opened)
			}
		})
	}
}

// postgresPool is a pool of up to four connections that are dialled by a dialer of ours. Without a configuration TLS is not used.
func postgresPool(t *testing.T, m *meter, addr string, config *tls.Config) *pgxpool.Pool {
	t.Helper()
	dialer, err := otelnet.NewDialer(&net.Dialer{Timeout: patience}, m.option())
	if err != nil {
		t.Fatal(err)
	}
	pc, err := pgxpool.ParseConfig("postgres://" + postgresUser + "@" + addr + "/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	pc.ConnConfig.DialFunc = dialer.DialContext
	pc.ConnConfig.TLSConfig = config
	pc.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// copyInAndOut copies rows of so many bytes in, and reads them all.
func copyInAndOut(ctx context.Context, t *testing.T, pool *pgxpool.Pool, rows, size int) {
	t.Helper()
	if _, err := pool.Exec(ctx, "drop table if exists copied; create table copied (id int, body text)"); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("b", size)
	n, err := pool.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "body"},
		pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return []any{i, body}, nil }))
	if err != nil || n != int64(rows) {
		t.Fatalf("COPY: got %d rows, %v, want %d", n, err, rows)
	}
	result, err := pool.Query(ctx, "select body from copied")
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := pgx.CollectRows(result, pgx.RowTo[string])
	if err != nil || len(bodies) != rows {
		t.Fatalf("select: got %d rows, %v, want %d", len(bodies), err, rows)
	}
}

func sendBatch(ctx context.Context, t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	var batch pgx.Batch
	for i := range n {
		batch.Queue("select $1::int * 2", i)
	}
	results := pool.SendBatch(ctx, &batch)
	for i := range n {
		var got int
		if err := results.QueryRow().Scan(&got); err != nil || got != 2*i {
			t.Fatalf("batch: got %d, %v, want %d", got, err, 2*i)
		}
	}
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}
}

// notify has one connection wait for what another one says.
func notify(ctx context.Context, t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	listening, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Release()
	if _, err := listening.Exec(ctx, "listen news"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, "notify news, 'hello'"); err != nil {
		t.Fatal(err)
	}
	got, err := listening.Conn().WaitForNotification(ctx)
	if err != nil || got.Payload != "hello" {
		t.Fatalf("notification: got %+v, %v, want hello", got, err)
	}
	if _, err := listening.Exec(ctx, "unlisten *"); err != nil {
		t.Fatal(err)
	}
}

// giveUp cancels a query that would take minutes, and wants the pool to go on.
func giveUp(ctx context.Context, t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := pool.Exec(short, "select pg_sleep(600)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a query given up: got %v, want context.DeadlineExceeded", err)
	}
	var one int
	if err := pool.QueryRow(ctx, "select 1").Scan(&one); err != nil || one != 1 {
		t.Fatalf("select after it: got %d, %v, want 1", one, err)
	}
}
