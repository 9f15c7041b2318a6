package flags

import (
	"errors"
	"flag"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-every", "2"}, `-every "2": want a duration such as 2s or 1m`},
		{[]string{"--every=soon"}, `-every "soon": want a duration such as 2s or 1m`},
		{[]string{"-every"}, `-every needs a value`},
		{[]string{"-rows", "many"}, `-rows "many": want a whole number`},
		{[]string{"-rows", "99999999999999999999"}, `-rows "99999999999999999999": too large a number`},
		{[]string{"-wide=perhaps"}, `-wide "perhaps": want true or false`},
		{[]string{"-kind", "c: d"}, `-kind "c: d": want a or b`},
		{[]string{"-evry", "2s"}, `there is no option -evry, did you mean -every?`},
		{[]string{"-xyzzy"}, `there is no option -xyzzy`},
		{[]string{"-o"}, `there is no option -o`},
		{[]string{"-h"}, flag.ErrHelp.Error()},
		{[]string{"-every", "2s", "-rows=3", "-wide", "rest"}, ""},
	} {
		fs := New("look")
		fs.Duration("every", time.Second, "")
		fs.Int("rows", 1, "")
		fs.Bool("wide", false, "")
		fs.Func("kind", "", func(string) error { return errors.New("want a or b") })
		got := ""
		if err := Parse(fs, test.args); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}
