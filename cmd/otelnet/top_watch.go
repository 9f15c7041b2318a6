package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/otelnet/agent/otelnet"
)

const keysLine = "q quit  left/right column  r reverse  / filter  o open or closed  up/down scroll  space pause"

// The states that o goes through.
var topStates = []string{"open", "active", "idle", "new", "closed", "all"}

// watch shows the service on the terminal until q is pressed, and leaves the terminal as it was.
func watch(ctx context.Context, client *topClient, set topSettings, first *sight, in, out *os.File) error {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("top: set up the terminal: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // a screen of our own, without a cursor
	defer func() {
		fmt.Fprint(out, "\x1b[?25h\x1b[?1049l")
		_ = term.Restore(int(in.Fd()), state) // it was set a moment ago
	}()
	w := &watcher{
		client: client, every: set.every, sight: first, out: out,
		screen: screen{filter: set.filter, colours: os.Getenv("NO_COLOR") == ""},
		size: func() (int, int) {
			width, height, err := term.GetSize(int(out.Fd()))
			if err != nil {
				return 80, 24
			}
			return width, height
		},
	}
	keys := make(chan string)
	go readKeys(ctx, in, keys) // it ends with the next key or with the process: a read of a terminal cannot be called off
	resized, stop := resizes()
	defer stop()
	return w.run(ctx, keys, resized)
}

// watcher is one run on a terminal. Only its own goroutine touches it.
type watcher struct {
	client *topClient
	every  time.Duration
	size   func() (width, height int)
	out    io.Writer

	sight  *sight
	screen screen
	typing bool // of the filter
	paused bool
}

type answer struct {
	sight  *sight
	err    error
	filter otelnet.Filter
}

func (w *watcher) run(ctx context.Context, keys <-chan string, resized <-chan os.Signal) error {
	clock := time.NewTicker(w.every)
	defer clock.Stop()
	answers := make(chan answer, 1)
	asking := false
	ask := func() {
		if asking || w.paused {
			return
		}
		asking = true
		f := w.screen.filter
		go func() {
			s, err := w.client.fetch(ctx, f)
			answers <- answer{s, err, f}
		}()
	}
	defer func() {
		if asking {
			<-answers // fetch has a time limit
		}
	}()
	for {
		if err := w.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
			ask()
		case <-resized:
		case a := <-answers:
			asking = false
			w.take(a)
			if a.filter != w.screen.filter {
				ask() // what is wanted has changed meanwhile
			}
		case key, ok := <-keys:
			if !ok {
				return nil // the terminal is gone
			}
			before := w.screen.filter
			if w.press(key) {
				return nil
			}
			if w.screen.filter != before {
				ask()
			}
		}
	}
}

func (w *watcher) take(a answer) {
	if a.err != nil {
		w.screen.warning = "[" + a.err.Error() + "]" // what was seen last stays
		return
	}
	w.sight, w.screen.warning = a.sight, ""
}

// press acts on a key. It reports whether it was the one to quit.
func (w *watcher) press(key string) (quit bool) {
	f := &w.screen.filter
	if key == "\x03" { // Ctrl-C
		return true
	}
	if w.typing {
		w.edit(key)
		return false
	}
	page := max(1, w.rowsShown()-1)
	switch key {
	case "q":
		return true
	case "left", "<":
		w.column(-1)
	case "right", ">":
		w.column(1)
	case "r":
		if rest, ok := strings.CutPrefix(f.Sort, "-"); ok {
			f.Sort = rest
		} else {
			f.Sort = "-" + f.Sort
		}
	case "/":
		w.typing = true
	case "o":
		f.State = topStates[(slices.Index(topStates, f.State)+1)%len(topStates)]
		f.Offset = 0
	case " ":
		w.paused = !w.paused
	case "down", "j":
		f.Offset = w.within(f.Offset + 1)
	case "up", "k":
		f.Offset = w.within(f.Offset - 1)
	case "pgdn":
		f.Offset = w.within(f.Offset + page)
	case "pgup":
		f.Offset = w.within(f.Offset - page)
	case "home":
		f.Offset = 0
	}
	return false
}

func (w *watcher) within(offset int) int { return max(0, min(offset, w.sight.total-1)) }

// edit changes the filter as it is typed.
func (w *watcher) edit(key string) {
	f := &w.screen.filter
	f.Offset = 0
	switch key {
	case "\r", "\n":
		w.typing = false
	case "esc":
		w.typing, f.Match = false, ""
	case "\x7f", "\b":
		if r := []rune(f.Match); len(r) > 0 {
			f.Match = string(r[:len(r)-1])
		}
	default:
		if len([]rune(key)) == 1 && clean(key) == key && len(f.Match) < 200 {
			f.Match += key
		}
	}
}

// column sorts by the next column; numbers begin with the greatest.
func (w *watcher) column(by int) {
	f := &w.screen.filter
	i := slices.IndexFunc(topColumns, func(c topColumn) bool { return c.field == strings.TrimPrefix(f.Sort, "-") })
	c := topColumns[(i+by+len(topColumns))%len(topColumns)]
	if f.Sort = c.field; c.right {
		f.Sort = "-" + c.field
	}
}

func (w *watcher) rowsShown() int {
	_, height := w.size()
	return min(len(w.sight.rows), max(1, height-6))
}

func (w *watcher) draw() error {
	sc := w.screen
	sc.width, sc.height = w.size()
	switch {
	case w.typing:
		sc.line = "filter: " + sc.filter.Match + "_   (enter keeps it, esc clears it)"
	case w.paused:
		sc.warning, sc.line = "[paused]", keysLine
	case sc.filter.Match != "" || sc.filter.State != "open":
		sc.line = fmt.Sprintf("%s %q   %s", sc.filter.State, sc.filter.Match, keysLine)
	default:
		sc.line = keysLine
	}
	text := strings.TrimSuffix(render(w.sight, sc), "\n")
	_, err := io.WriteString(w.out, "\x1b[H"+strings.ReplaceAll(text, "\n", "\x1b[K\r\n")+"\x1b[K\x1b[J")
	return err
}

// escapes are what terminals send for the keys that have no character, after "ESC [" or "ESC O".
var escapes = map[string]string{"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "5~": "pgup", "6~": "pgdn", "1~": "home"}

// readKeys turns the bytes of a terminal into keys, until they end or ctx does.
func readKeys(ctx context.Context, in io.Reader, keys chan<- string) {
	defer close(keys)
	r := bufio.NewReader(in)
	for {
		c, _, err := r.ReadRune()
		if err != nil {
			return
		}
		key := string(c)
		if c == '\x1b' {
			key = "esc"
			// The rest of a sequence comes in the same read; a lone escape is the key itself.
			if next, err := r.Peek(min(2, r.Buffered())); err == nil && len(next) == 2 && (next[0] == '[' || next[0] == 'O') {
				_, _ = r.Discard(1)
				seq := ""
				for r.Buffered() > 0 && len(seq) < 8 {
					b, _ := r.ReadByte()
					seq += string(rune(b))
					if b >= '@' && b <= '~' {
						break
					}
				}
				key = escapes[seq]
			}
		}
		select {
		case keys <- key:
		case <-ctx.Done():
			return
		}
	}
}
