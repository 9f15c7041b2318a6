package otelnet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/otelnet/agent/otelnet"
)

// A server whose connections and requests are counted and joined, and a client that counts its own.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", otelnet.WithName("public"))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{Handler: otelnet.NewHandler(mux, "checkout")}
	otelnet.Instrument(srv)
	go srv.Serve(ln)
	defer srv.Shutdown(context.Background())

	client := &http.Client{Transport: otelnet.NewTransport(nil)}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + ln.Addr().String() + "/hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)

	rows := otelnet.Connections(otelnet.Filter{Match: "public"})
	fmt.Printf("%s, %d request over %s\n", body, rows[0].Requests, rows[0].Protocol)
	// Output: hello, 1 request over HTTP/1.1
}

// A handler may ask about the connection that its request came on.
func ExampleConnFromContext() {
	h := func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := otelnet.ConnFromContext(r.Context()); ok && conn.Requests() > 10_000 {
			w.Header().Set("Connection", "close") // spread long-lived clients anew
		}
	}
	srv := &http.Server{Handler: otelnet.NewHandler(http.HandlerFunc(h), "checkout")}
	otelnet.Instrument(srv)
}

// The query of a page's URL becomes a filter; what it gets wrong is answered with what is allowed.
func ExampleParseFilter() {
	query, _ := url.ParseQuery("sort=-sentBytes&limit=20&state=ajar")
	_, err := otelnet.ParseFilter(query)
	fmt.Println(err)
	// Output: state: "ajar" is unknown; allowed are open, closed, all, new, active, idle
}
