package main

import (
	"fmt"
	"slices"
	"time"
)

// results are the rounds of each subject, in the order they were measured.
type results map[string][]values

// measure lets the subjects of s do their rounds in turn. Each round begins with another of them, so that none is
// always the one after a certain other.
func measure(env *environment, s scenario, e effort) (results, error) {
	rounds, length := e.of(s)
	workers := make([]*worker, len(s.subjects))
	defer func() {
		for _, w := range workers {
			if w != nil {
				w.stop()
			}
		}
	}()
	ops := make([]int, len(workers))
	for i, subject := range s.subjects {
		var err error
		if workers[i], err = env.worker(s, subject); err != nil {
			return nil, fmt.Errorf("%s: %w", subject, err)
		}
		// This is also what warms the subject up.
		if ops[i], err = calibrate(workers[i], s, length); err != nil {
			return nil, fmt.Errorf("%s: %w", subject, err)
		}
	}
	all := make(results, len(workers))
	for round := range rounds {
		for k := range workers {
			i := (round + k) % len(workers)
			v, err := workers[i].round(s, ops[i])
			if err != nil {
				return nil, fmt.Errorf("%s: round %d: %w", s.subjects[i], round, err)
			}
			all[s.subjects[i]] = append(all[s.subjects[i]], v)
		}
	}
	return all, nil
}

// of returns how many rounds a scenario gets, and how long they are.
func (e effort) of(s scenario) (rounds int, length time.Duration) {
	rounds, length = e.rounds, e.round
	if s.rounds != 0 {
		rounds = max(1, s.rounds*e.rounds/full.rounds)
	}
	if s.round != 0 {
		length = time.Duration(float64(s.round) * float64(e.round) / float64(full.round))
	}
	return rounds, length
}

// calibrate returns how many operations fill the length of a round.
func calibrate(w *worker, s scenario, length time.Duration) (int, error) {
	if s.ops != 0 {
		return s.ops, nil
	}
	for n := 1; ; n *= 4 {
		v, err := w.round(s, n)
		if err != nil {
			return 0, err
		}
		took := v[wallTime] * float64(n)
		if took > float64(length)/8 || s.most != 0 && n >= s.most {
			n = max(1, int(float64(length)/v[wallTime]))
			if s.most != 0 {
				n = min(n, s.most)
			}
			return n, nil
		}
	}
}

// of returns one value of every round of a subject.
func (r results) of(subject string, v value) []float64 {
	all := make([]float64, 0, len(r[subject]))
	for _, round := range r[subject] {
		all = append(all, round[v])
	}
	return all
}

// has says whether a subject gives a value: a service without captures has no time that one takes.
func (r results) has(subject string, v value) bool {
	return slices.ContainsFunc(r[subject], func(round values) bool { _, ok := round[v]; return ok })
}

// ratios returns, round by round, a subject's value divided by that of the base.
func (r results) ratios(subject, base string, v value) []float64 {
	all, of := r.of(subject, v), r.of(base, v)
	for i := range all {
		all[i] /= of[i]
	}
	return all
}

// quantile interpolates between the values next to it, as R's default does.
func quantile(q float64, all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(all []float64) float64 { return quantile(0.5, all) }
