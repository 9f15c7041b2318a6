package agent_test

import (
	"context"
	"log"
	"net/http"

	"github.com/otelnet/agent"
	"github.com/otelnet/agent/otelnet"
)

// A service with the agent, an instrumented listener, handler and client.
func Example() {
	ctx := context.Background()
	a, err := agent.Start(ctx, agent.WithServiceName("checkout"), agent.WithAdminAddr("127.0.0.1:6060"))
	if err != nil {
		log.Fatal(err)
	}
	defer a.Shutdown(ctx)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	ln, err := otelnet.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: otelnet.NewHandler(mux, "checkout")}
	otelnet.Instrument(srv) // joins requests to connections
	log.Fatal(srv.Serve(ln))
}

// A client whose requests and connections are recorded.
func Example_client() {
	dialer, err := otelnet.NewDialer(nil)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dialer.DialContext
	client := &http.Client{Transport: otelnet.NewTransport(transport)}
	resp, err := client.Get("http://127.0.0.1:8080/checkout/7")
	if err != nil {
		log.Print(err)
		return
	}
	resp.Body.Close()
}
