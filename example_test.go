package agent_test

import (
	"context"
	"log"
	"net/http"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/otelnet"
)

// A service with the agent, an instrumented listener and an instrumented handler.
func Example() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	a, err := agent.Start(ctx, agent.WithServiceName("checkout"), agent.WithAdminAddr("127.0.0.1:6060"))
	if err != nil {
		return err
	}
	defer a.Shutdown(ctx) // exports the last numbers

	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	ln, err := otelnet.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: otelnet.NewHandler(mux, "checkout")}
	otelnet.Instrument(srv) // joins requests to connections
	return srv.Serve(ln)
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
