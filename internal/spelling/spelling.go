// Package spelling guesses which word a misspelt one was meant to be. It keeps nothing, and is safe for concurrent use.
package spelling

import "strings"

// Nearest returns the candidate that word was most likely meant to be, whatever the case of its letters, or "" if none is close.
func Nearest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/3+2
	for _, c := range candidates {
		if d := Distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// Distance counts the single-letter changes, insertions, deletions and swaps of neighbours between a and b.
// Words longer than 64 bytes are taken to be infinitely far, which bounds the work for hostile input.
func Distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var twoBack, back, row [65]int
	for j := range len(b) + 1 {
		back[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(back[j]+1, row[j-1]+1, back[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], twoBack[j-2]+1)
			}
		}
		twoBack, back = back, row
	}
	return back[len(b)]
}
