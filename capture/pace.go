package capture

import (
	"io"
	"time"
)

// stint is how long a capture computes at a stretch.
const stint = time.Millisecond

// pacedWriter hands on what it is given and rests as long as that took. On a process's only processor, megabytes
// compressed at a stretch are a stall of tens of milliseconds for whoever waits for the network: the scheduler looks there when
// it has nothing else to run, or every 10 ms.
type pacedWriter struct {
	to     io.Writer
	worked time.Duration // since the last rest
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	begin := time.Now()
	n, err := w.to.Write(p)
	if w.worked += time.Since(begin); w.worked >= stint && err == nil {
		time.Sleep(min(w.worked, 10*stint))
		w.worked = 0
	}
	return n, err
}
