package agent_test

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/otelnet"
)

// A service with the agent, an instrumented listener and an instrumented handler. Ctrl-C ends it, and its last numbers are exported.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	a, err := agent.Start(ctx, agent.WithServiceName("checkout"), agent.WithAdminAddr("127.0.0.1:6060"))
	if err != nil {
		return err
	}
	defer a.Shutdown(context.Background()) // exports the last numbers; ctx has ended by then

	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	ln, err := otelnet.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: otelnet.NewHandler(mux, "checkout")}
	otelnet.Instrument(srv) // joins requests to connections
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return srv.Shutdown(context.Background())
	}
}

// A client whose requests and connections are recorded.
func Example_client() {
	client := &http.Client{Transport: otelnet.NewTransport(nil)} // as http.DefaultTransport
	resp, err := client.Get("http://127.0.0.1:8080/checkout/7")
	if err != nil {
		log.Print(err)
		return
	}
	resp.Body.Close()
}
