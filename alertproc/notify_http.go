package alertproc

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// endpoint is an address to post JSON to. Its errors name the host only: the rest may hold a password or a token.
type endpoint struct {
	client *http.Client
	url    string
	host   string
	// headers and secret are of webhooks.
	headers map[string]string
	secret  string
}

func newEndpoint(client *http.Client, address string) endpoint {
	e := endpoint{client: client, url: address}
	if u, err := url.Parse(address); err == nil {
		e.host = u.Host
	}
	return e
}

// signatureHeader has the signature of a body, in the form that GitHub made customary.
const signatureHeader = "X-Otelnet-Signature"

// post sends body as JSON. Answers that would come again for the same body are permanent errors.
func (e endpoint) post(ctx context.Context, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return permanent{fmt.Errorf("encode: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(data))
	if err != nil {
		return permanent{fmt.Errorf("%s: the request could not be made", e.host)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "otelnet-alertproc")
	for name, value := range e.headers {
		req.Header.Set(name, value)
	}
	if e.secret != "" {
		mac := hmac.New(sha256.New, []byte(e.secret))
		mac.Write(data)
		req.Header.Set(signatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	resp, err := e.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text without the URL
		}
		return fmt.Errorf("%s: %w", e.host, err)
	}
	defer resp.Body.Close()
	// Reading the body to its end lets the connection be used again; a long one is not worth that.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("%s answered %s: %.200s", e.host, resp.Status, bytes.TrimSpace(text))
	if retryable := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode == http.StatusRequestTimeout; !retryable {
		return permanent{err}
	}
	return err
}
