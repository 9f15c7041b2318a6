package compat

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelnet/agent/e2e/internal/stack"
	"github.com/otelnet/agent/otelnet"
)

// go-redis over a dialer of ours. Redis itself is the witness: what it read and wrote is what otelnet counted. go-redis looks at
// an idle connection through SyscallConn before it uses it, so connections that the server has dropped do no harm.
func TestRedis(t *testing.T) {
	server := startRedis(t)
	m := newMeter()
	dialer, err := otelnet.NewDialer(&net.Dialer{Timeout: patience}, m.option(), otelnet.WithName("redis"))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr:         server.addr,
		Dialer:       dialer.DialContext,
		PoolSize:     4,
		MaxRetries:   -1, // a connection that fails must show
		ReadTimeout:  patience,
		WriteTimeout: patience,
	})
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()

	setAndGet(ctx, t, client, "large", 3_000_000)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { setAndGet(ctx, t, client, fmt.Sprint("key", i), 1+i*1000) })
	}
	wg.Wait()
	pipeline(ctx, t, client, 500)
	publish(ctx, t, client)
	if err := client.BLPop(ctx, time.Second, "nothing").Err(); err != redis.Nil {
		t.Errorf("BLPOP of an empty list: got %v, want redis.Nil", err)
	}
	wantRedisFlow(t, m, server)

	idle := m.total("otelnet.client.active_connections")
	if answer, err := server.ask("CLIENT KILL TYPE normal SKIPME yes"); err != nil || answer != fmt.Sprintf(":%d", idle) {
		t.Fatalf("CLIENT KILL: got %q, %v, want :%d", answer, err, idle)
	}
	stack.Until(t, patience, "Redis has dropped its clients", func(context.Context) error {
		if n, err := server.info("clients", "connected_clients"); err != nil || n != 1 {
			return fmt.Errorf("connected_clients is %d, %v, want 1", n, err)
		}
		return nil
	})
	for range 8 {
		setAndGet(ctx, t, client, "again", 10)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	m.wantTotal(t, 0, "otelnet.client.active_connections")
	wantRedisFlow(t, m, server)
	m.wantTotal(t, idle, "otelnet.client.connection.duration", attribute.String("otelnet.close_reason", "remote"))
	if got := m.total("otelnet.connection.errors"); got != 0 {
		t.Errorf("connections that an error ended: got %d, want 0", got)
	}
}

// wantRedisFlow compares otelnet's counts with those of Redis, while nothing else is under way.
func wantRedisFlow(t *testing.T, m *meter, server *redisServer) {
	t.Helper()
	stack.Until(t, patience, "the bytes that Redis counted", func(context.Context) error {
		want, err := server.clients()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.flow(otelnet.SideClient); got != want || want.Sent < 3_000_000 {
			return fmt.Errorf("got %+v, want %+v, as Redis says", got, want)
		}
		return nil
	})
}

// setAndGet may be called from any goroutine.
func setAndGet(ctx context.Context, t *testing.T, client *redis.Client, key string, size int) {
	t.Helper()
	value := strings.Repeat("v", size)
	if err := client.Set(ctx, key, value, 0).Err(); err != nil {
		t.Errorf("SET: %v", err)
		return
	}
	if got, err := client.Get(ctx, key).Result(); err != nil || got != value {
		t.Errorf("GET %s: got %d bytes, %v, want %d", key, len(got), err, size)
	}
}

func pipeline(ctx context.Context, t *testing.T, client *redis.Client, n int64) {
	t.Helper()
	var last *redis.IntCmd
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range n {
			last = p.Incr(ctx, "counter")
		}
		return nil
	})
	if err != nil || last.Val() != n {
		t.Fatalf("pipeline: got %d, %v, want %d", last.Val(), err, n)
	}
}

// publish sends a message to a subscriber, which has a connection of its own, and ends it.
func publish(ctx context.Context, t *testing.T, client *redis.Client) {
	t.Helper()
	sub := client.Subscribe(ctx, "news")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil { // the confirmation
		t.Fatal(err)
	}
	if err := client.Publish(ctx, "news", "hello").Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := sub.ReceiveMessage(ctx); err != nil || got.Payload != "hello" {
		t.Fatalf("message: got %v, %v, want hello", got, err)
	}
}
