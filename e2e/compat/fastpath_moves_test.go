package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/otelnet/agent/otelnet"
)

const (
	moveSize = 4 << 20
	moveRest = 100 // what io.CopyN leaves behind
)

// moveResult is what a move comes to.
type moveResult struct {
	Ours                     flow  // as otelnet counted it, of all connections of ours together
	PeersSent, PeersReceived int64 // by their bare ends
}

func init() { helpers["move"] = runMove }

func runMove(name string) error {
	move, ok := moves[name]
	if !ok {
		return fmt.Errorf("there is no move %q", name)
	}
	dir, err := os.MkdirTemp("", "otelnet-move-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &mover{meter: newMeter(), dir: dir}
	if err := move(m); err != nil {
		return err
	}
	if err := m.end(); err != nil {
		return err
	}
	return answer(moveResult{Ours: m.meter.flow(otelnet.SideServer), PeersSent: m.sent, PeersReceived: m.received})
}

// moves are the ways for moveSize bytes.
var moves = map[string]func(*mover) error{
	"ServeFile": serveFile,
	"CopyFromFile": func(m *mover) error {
		_, err := io.Copy(m.sink("tcp", true), m.file(moveSize))
		return err
	},
	"CopyNFromFile": func(m *mover) error {
		_, err := io.CopyN(m.sink("tcp", true), m.file(moveSize), moveSize-1)
		return err
	},
	"CopyToFile": func(m *mover) error {
		return m.copy(m.file(0), m.source("tcp", true, moveSize))
	},
	"CopyNToFile": func(m *mover) error {
		return m.copyN(m.file(0), m.source("tcp", true, moveSize+moveRest))
	},
	"CopyBothOurs": func(m *mover) error {
		return m.copy(m.sink("tcp", true), m.source("tcp", true, moveSize))
	},
	"CopyToOurs": func(m *mover) error {
		return m.copy(m.sink("tcp", true), m.source("tcp", false, moveSize))
	},
	"CopyFromOurs": func(m *mover) error {
		return m.copy(m.sink("tcp", false), m.source("tcp", true, moveSize))
	},
	"CopyNBothOurs": func(m *mover) error {
		return m.copyN(m.sink("tcp", true), m.source("tcp", true, moveSize+moveRest))
	},
	"CopyUnixToTCP": func(m *mover) error {
		return m.copy(m.sink("tcp", true), m.source("unix", true, moveSize))
	},
	"CopyTCPToUnix": func(m *mover) error {
		return m.copy(m.sink("unix", true), m.source("tcp", true, moveSize))
	},
	"Buffers": func(m *mover) error {
		var buffers net.Buffers
		for range 16 {
			buffers = append(buffers, make([]byte, moveSize/16))
		}
		_, err := buffers.WriteTo(m.sink("tcp", true))
		return err
	},
}

// mover makes connections, one end bare, and counts there.
type mover struct {
	meter          *meter
	dir            string
	conns          []net.Conn
	pending        []chan error
	sent, received int64 // by the bare ends of connections of ours; read after end
	err            error
}

// pair returns an accepted connection, one of ours if ours is set, and the other end, which is bare.
func (m *mover) pair(network string, ours bool) (accepted, peer net.Conn, err error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(m.dir, fmt.Sprintf("socket%d", len(m.conns)))
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if ours {
		if ln, err = otelnet.NewListener(ln, m.meter.option()); err != nil {
			return nil, nil, err
		}
	}
	if peer, err = net.Dial(network, ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	if accepted, err = ln.Accept(); err != nil {
		return nil, nil, err
	}
	for _, c := range []net.Conn{accepted, peer} {
		c.SetDeadline(time.Now().Add(patience))
		m.conns = append(m.conns, c)
	}
	return accepted, peer, nil
}

// sink returns a connection whose peer reads all.
func (m *mover) sink(network string, ours bool) net.Conn {
	conn, peer, err := m.pair(network, ours)
	if err != nil {
		m.err = err
		return nil
	}
	m.later(func() error {
		n, err := readAll(peer)
		if ours {
			m.received += n
		}
		return err
	})
	return conn
}

// source returns a connection whose peer sends size bytes and then ends.
func (m *mover) source(network string, ours bool, size int64) net.Conn {
	conn, peer, err := m.pair(network, ours)
	if err != nil {
		m.err = err
		return nil
	}
	m.later(func() error {
		n, err := peer.Write(make([]byte, size))
		if ours {
			m.sent += int64(n)
		}
		return errors.Join(err, peer.(interface{ CloseWrite() error }).CloseWrite())
	})
	return conn
}

// later runs f beside the move; end waits for it.
func (m *mover) later(f func() error) {
	done := make(chan error, 1)
	m.pending = append(m.pending, done)
	go func() { done <- f() }()
}

// readAll reads with plain reads until the end.
func readAll(c net.Conn) (total int64, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// file returns a file of that size, to be read or written from its beginning.
func (m *mover) file(size int64) *os.File {
	f, err := os.Create(filepath.Join(m.dir, "file"))
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		m.err = err
	}
	return f
}

func (m *mover) copy(dst io.Writer, src io.Reader) error {
	n, err := io.Copy(dst, src)
	if err != nil || n != moveSize {
		return fmt.Errorf("io.Copy: %d bytes, %v", n, err)
	}
	return nil
}

// copyN leaves the rest of src to plain reads, which must find it whole.
func (m *mover) copyN(dst io.Writer, src net.Conn) error {
	if n, err := io.CopyN(dst, src, moveSize); err != nil || n != moveSize {
		return fmt.Errorf("io.CopyN: %d bytes, %v", n, err)
	}
	if n, err := readAll(src); err != nil || n != moveRest {
		return fmt.Errorf("after io.CopyN: got %d bytes, %v, want %d", n, err, moveRest)
	}
	return nil
}

// end ends what the connections send, waits for the peers, and closes all.
func (m *mover) end() error {
	errs := []error{m.err}
	for _, c := range m.conns {
		c.(interface{ CloseWrite() error }).CloseWrite() // a source has done it before
	}
	for _, done := range m.pending {
		errs = append(errs, <-done)
	}
	for _, c := range m.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// serveFile has net/http serve a file to a client that counts all it gets.
func serveFile(m *mover) error {
	f := m.file(moveSize)
	ln, err := otelnet.Listen("tcp", "127.0.0.1:0", m.meter.option())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f.Name()) })
	srv := &http.Server{Handler: otelnet.NewHandler(mux, "files", m.meter.option())}
	otelnet.Instrument(srv)
	go srv.Serve(ln)
	defer srv.Close()

	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	m.conns = append(m.conns, peer)
	peer.SetDeadline(time.Now().Add(patience))
	n, err := io.WriteString(peer, "GET /file HTTP/1.1\r\nHost: files\r\nConnection: close\r\n\r\n")
	m.sent += int64(n)
	if err != nil {
		return err
	}
	head := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(peer, head); err != nil || !bytes.HasSuffix(head, []byte("200")) {
		return fmt.Errorf("answer: %q, %v", head, err)
	}
	rest, err := readAll(peer)
	m.received += int64(len(head)) + rest
	return err
}
