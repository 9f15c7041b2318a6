package otelnet

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFilter(t *testing.T) {
	tests := []struct {
		query string
		want  Filter
	}{
		{"", Filter{}},
		{"sort=-sentBytes&limit=10&filter=db&state=closed", Filter{State: "closed", Match: "db", Sort: "-sentBytes", Limit: 10}},
		{"state=idle&unknown=1", Filter{State: "idle"}},
		{"limit=5&offset=10", Filter{Limit: 5, Offset: 10}},
	}
	for _, tt := range tests {
		values, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFilter(values)
		if err != nil || got != tt.want {
			t.Errorf("%q: got %+v, %v, want %+v", tt.query, got, err, tt.want)
		}
	}
}

func TestFilterErrorsSayWhatIsAllowed(t *testing.T) {
	for query, want := range map[string][]string{
		"sort=sendBytes":  {`"sendBytes"`, "sentBytes", "id"},
		"sort=-":          {"allowed are"},
		"state=ajar":      {`"ajar"`, "open", "closed", "all", "new", "active", "idle"},
		"limit=many":      {`"many"`, "whole number"},
		"limit=-1":        {"-1", "0 means all"},
		"offset=x":        {"offset", "whole number"},
		"offset=-1":       {"offset", "-1", "0 leaves out none"},
		"sort=-id&state=": nil,
	} {
		values, _ := url.ParseQuery(query)
		_, err := ParseFilter(values)
		if (err != nil) != (want != nil) {
			t.Errorf("%q: got error %v", query, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: error %q does not contain %q", query, err, part)
			}
		}
	}
}

// Every column of the table can be sorted by, under its JSON name.
func TestSortColumnsAreTheJSONFields(t *testing.T) {
	var want []string
	for f := range reflect.TypeFor[ConnInfo]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, SortColumns()); diff != "" {
		t.Errorf("SortColumns (-want +got):\n%s", diff)
	}
}

func TestSortByEachColumn(t *testing.T) {
	for f := range reflect.TypeFor[ConnInfo]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		low, high := ConnInfo{ID: 1}, ConnInfo{ID: 2}
		setField(reflect.ValueOf(&high).Elem().FieldByIndex(f.Index))
		first := func(sort string) ConnInfo {
			order := newTop(Filter{State: "all", Sort: sort})
			order.offer(&entry{info: high})
			order.offer(&entry{info: low})
			rows, _ := order.page()
			return rows[0].info
		}
		if first(name) != low {
			t.Errorf("%s: the higher row comes first", name)
		}
		if first("-"+name) != high {
			t.Errorf("-%s: the lower row comes first", name)
		}
	}
}

// setField gives a field a value above its zero.
func setField(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
	case uint64:
		v.SetUint(9)
	case float64:
		v.SetFloat(9)
	default:
		v.SetString("z")
	}
}
