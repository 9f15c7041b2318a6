package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperEnv names the helper that this binary is to be instead of running tests. What follows a colon is its argument.
const helperEnv = "OTELNET_COMPAT_HELPER"

// helpers run in a process of their own. What they print on standard output is for the test that started them.
var helpers = map[string]func(arg string) error{}

// patience bounds every wait for something that happens in milliseconds on an idle machine.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if name, arg, _ := strings.Cut(os.Getenv(helperEnv), ":"); name != "" {
		endInTime()
		helper, ok := helpers[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "there is no helper %q\n", name)
			os.Exit(2)
		}
		if err := helper(arg); err != nil {
			fmt.Fprintf(os.Stderr, "helper %s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
