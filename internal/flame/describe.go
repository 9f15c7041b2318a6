package flame

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/otelnet/agent/internal/gofunc"
)

const (
	maxFunctions = 25
	maxKeys      = 8
	maxValues    = 50
)

// Summary is what there is to choose from in a profile, and its functions with the most of it. Lists are never nil.
type Summary struct {
	SampleTypes []Type  `json:"sampleTypes"`
	SampleType  string  `json:"sampleType"` // that Total and Top are of
	Unit        string  `json:"unit"`       // of Total and Top: "nanoseconds", "bytes", "count"
	Seconds     float64 `json:"seconds,omitempty"`
	Samples     int     `json:"samples"`
	Total       int64   `json:"total"` // of a difference: what the profile has beyond the base
	// Whole is what percentages are of: the total, of a difference that of the base.
	Whole  int64      `json:"whole"`
	Top    []Function `json:"top"`
	Labels []Choices  `json:"labels"`
}

// Type is a kind of value that samples have.
type Type struct {
	Type string `json:"type"`
	Unit string `json:"unit"`
}

// Function is what a function has. The base of a comparison counts negative.
type Function struct {
	Func string `json:"func"`
	File string `json:"file"`
	Own  int64  `json:"own"`  // by itself and in the libraries that it called: it was the innermost of the program's own code
	Flat int64  `json:"flat"` // by itself
	Cum  int64  `json:"cum"`  // with all that it called
}

// Choices are the values of a label, those with the most first.
type Choices struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// Describe sums p up by one of its kinds of values, the profile's own choice for "". With a base, which must have the same kinds, it
// tells the difference, what differs most first. The samples of both must be filtered and scaled before.
func Describe(p, base *profile.Profile, sampleType string) (*Summary, error) {
	index, err := p.SampleIndexByName(sampleType)
	if err != nil {
		return nil, fmt.Errorf("flame: %w", err)
	}
	chosen := p.SampleType[index]
	s := &Summary{
		SampleTypes: []Type{}, SampleType: chosen.Type, Unit: chosen.Unit, Seconds: float64(p.DurationNanos) / 1e9,
		Samples: len(p.Sample), Top: []Function{}, Labels: choices(p, index),
	}
	for _, t := range p.SampleType {
		s.SampleTypes = append(s.SampleTypes, Type{t.Type, t.Unit})
	}
	found := make(map[string]*Function)
	s.Total = tally(found, p, index, 1)
	s.Whole = s.Total
	if base != nil {
		i, err := base.SampleIndexByName(chosen.Type)
		if err != nil {
			return nil, fmt.Errorf("flame: the base: %w", err)
		}
		s.Whole = -tally(found, base, i, -1)
		s.Total -= s.Whole
	}
	s.Top = top(found)
	return s, nil
}

// top gives the functions with the most of each number, by Own.
func top(found map[string]*Function) []Function {
	all := []Function{}
	for _, f := range found {
		if f.Flat != 0 || f.Cum != 0 {
			all = append(all, *f)
		}
	}
	numbers := []func(Function) int64{
		func(f Function) int64 { return f.Cum }, func(f Function) int64 { return f.Flat }, func(f Function) int64 { return f.Own },
	}
	keep := make(map[string]bool)
	for _, number := range numbers {
		slices.SortFunc(all, func(a, b Function) int {
			return cmp.Or(cmp.Compare(abs(number(b)), abs(number(a))), cmp.Compare(abs(b.Flat), abs(a.Flat)), cmp.Compare(abs(b.Cum), abs(a.Cum)), cmp.Compare(a.Func, b.Func))
		})
		for _, f := range all[:min(len(all), maxFunctions)] {
			keep[f.Func] = true
		}
	}
	return slices.DeleteFunc(all, func(f Function) bool { return !keep[f.Func] })
}

// tally adds the samples to the functions, times sign, and returns their total, times sign.
func tally(found map[string]*Function, p *profile.Profile, index int, sign int64) (total int64) {
	for _, s := range p.Sample {
		v := s.Value[index] * sign
		total += v
		seen := make(map[string]bool)
		leaf, owned := true, false
		for _, loc := range s.Location {
			for _, line := range loc.Line {
				if line.Function == nil {
					continue
				}
				name := line.Function.Name
				f := found[name]
				if f == nil {
					f = &Function{Func: name, File: line.Function.Filename}
					found[name] = f
				}
				if leaf {
					f.Flat += v
					leaf = false
				}
				if !owned && gofunc.Own(name) {
					f.Own += v
					owned = true
				}
				if !seen[name] { // a function that calls itself counts once
					seen[name] = true
					f.Cum += v
				}
			}
		}
	}
	return total
}

func choices(p *profile.Profile, index int) []Choices {
	weights := make(map[string]map[string]int64)
	for _, s := range p.Sample {
		for key, values := range s.Label {
			if weights[key] == nil {
				weights[key] = make(map[string]int64)
			}
			for _, v := range values {
				weights[key][v] += s.Value[index]
			}
		}
	}
	all := []Choices{}
	for key, values := range weights {
		c := Choices{Key: key, Values: []string{}}
		for v := range values {
			c.Values = append(c.Values, v)
		}
		slices.SortFunc(c.Values, func(a, b string) int { return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b)) })
		c.Values = c.Values[:min(len(c.Values), maxValues)]
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Choices) int { return cmp.Compare(a.Key, b.Key) })
	return all[:min(len(all), maxKeys)]
}

func abs(v int64) int64 { return max(v, -v) }
