package alertproc

import (
	"fmt"
	"strings"

	"github.com/otelnet/agent/internal/spelling"
)

// didYouMean returns what is allowed, with the nearest word in front.
func didYouMean(word string, candidates []string) string {
	allowed := strings.Join(candidates, ", ")
	if n := spelling.Nearest(word, candidates); n != "" {
		return fmt.Sprintf("did you mean %q? allowed: %s", n, allowed)
	}
	return "allowed: " + allowed
}
