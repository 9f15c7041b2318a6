package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/otelnet/agent/admin"
	"github.com/otelnet/agent/history"
)

func Example() {
	store, err := history.New(history.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv, err := admin.New(admin.Config{
		Addr:    "127.0.0.1:0", // any free port
		Service: admin.Service{Name: "checkout"},
		History: store,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := srv.Start(); err != nil { // a taken port is an error here
		fmt.Println(err)
		return
	}
	defer srv.Shutdown(context.Background())

	res, err := http.Get(srv.URL() + "healthz")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Print(string(body), err)
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// ok
	// <nil>
}
