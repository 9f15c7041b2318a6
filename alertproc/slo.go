package alertproc

import "time"

type savedBurn struct{}

func (r *rule) saveBurn() []savedBurn              { return nil }
func (r *rule) restoreBurn([]savedBurn, time.Time) {}
