package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Options say where to ask, as whom, and for what.
type Options struct {
	// URL is where the source is, such as http://127.0.0.1:9090 or https://mimir.internal/prometheus. A user and a password in it
	// are used for HTTP basic authentication. InfluxDB's database is its parameter db, "otel" without one.
	URL string
	// Token is sent as "Authorization: Bearer TOKEN", if it is not empty.
	Token string
	// Header is sent with each request, such as X-Scope-OrgID. It is stronger than Token.
	Header http.Header
	// Timeout is for one request and its answer; 0 means 30 s.
	Timeout time.Duration
	// Transport sends the requests; nil means a copy of http.DefaultTransport.
	Transport http.RoundTripper

	// Service is the service.name to report. It may be "" if the store has only one.
	Service string
	// Instance is the service.instance.id to report; with "" all are added up.
	Instance string
	// Select are further attributes that series must have.
	Select map[string]string
}

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 20
)

// errTooLarge says that a shorter stretch should be asked for.
var errTooLarge = fmt.Errorf("an answer has more than %d MiB", maxAnswer>>20)

// client asks one source.
type client struct {
	name string // "prometheus", for errors
	what string // "Prometheus", for a person
	base *url.URL
	opt  Options
	http http.Client
	fail func(status int, body []byte) string // what the source says of an error; "" if it is not its way of speaking
}

func newClient(name, what string, opt Options) (*client, error) {
	u, err := url.Parse(opt.URL)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = errors.New("want http://host:port or https://host:port")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not an address: %w", name, redact(opt.URL), inner(err))
	}
	if opt.Timeout == 0 {
		opt.Timeout = defaultTimeout
	}
	c := &client{name: name, what: what, base: u, opt: opt}
	c.http.Transport = opt.Transport
	if c.http.Transport == nil {
		c.http.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	c.http.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != u.Host || req.URL.Scheme != u.Scheme || len(via) > 5 {
			return fmt.Errorf("it redirects to %s, which is not followed", req.URL.Redacted())
		}
		return nil
	}
	return c, nil
}

// redact hides a password in text that is no address.
func redact(text string) string {
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if _, host, ok := strings.Cut(rest, "@"); ok {
			return scheme + "://…@" + host
		}
	}
	return text
}

// inner leaves the address out of an error that names it a second time.
func inner(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// String names the source without its password.
func (c *client) String() string {
	u := *c.base
	u.RawQuery = ""
	return c.name + " " + strings.TrimSuffix(u.Redacted(), "/")
}

func (c *client) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", c, fmt.Errorf(format, args...))
}

// get asks for path and returns the body of an answer with status 200.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opt.Timeout, fmt.Errorf("no answer for %s within %s", path, c.opt.Timeout))
	defer cancel()
	u := c.base.JoinPath(path)
	u.User, u.RawQuery = nil, query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, c.errorf("%w", inner(err))
	}
	if c.opt.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	if user := c.base.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	for k, v := range c.opt.Header {
		req.Header[k] = v
	}
	defer c.http.CloseIdleConnections()
	res, err := c.http.Do(req)
	if err == nil {
		defer res.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err == nil {
			return c.judge(path, res, body)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, c.errorf("%w", inner(err))
}

// judge tells an answer from an error.
func (c *client) judge(path string, res *http.Response, body []byte) ([]byte, error) {
	if len(body) > maxAnswer {
		return nil, c.errorf("%w", errTooLarge)
	}
	if res.StatusCode == http.StatusOK {
		return body, nil
	}
	said := c.fail(res.StatusCode, body)
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		if said != "" {
			said += ": "
		}
		return nil, c.errorf("%s for %s: %sare the credentials right?", res.Status, path, said)
	case said != "":
		return nil, c.errorf("%s", said)
	}
	return nil, c.errorf("%s for %s: is this %s?", res.Status, path, c.what)
}

// said is the text of an error in the JSON forms of Prometheus and InfluxDB, which both have a field error.
func said(_ int, body []byte) string {
	var told struct{ Error string }
	if json.Unmarshal(body, &told) != nil {
		return ""
	}
	return printable(told.Error)
}

// printable is another program's text, no longer than a person reads and with nothing in it that a terminal obeys.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return fmt.Sprintf("%.500s", text)
}
