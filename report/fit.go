package report

import "math"

// fit is a weighted straight line through points, by least squares. Sums are kept about the first point, so that large times and
// values lose no digits.
type fit struct {
	x0, y0, w, wx, wy, wxx, wxy, wyy float64
	n                                int
}

func (f *fit) add(x, y, weight float64) {
	if weight <= 0 {
		return
	}
	if f.n == 0 {
		f.x0, f.y0 = x, y
	}
	f.n++
	x -= f.x0
	y -= f.y0
	f.w += weight
	f.wx += weight * x
	f.wy += weight * y
	f.wxx += weight * x * x
	f.wxy += weight * x * y
	f.wyy += weight * y * y
}

func (f *fit) sxx() float64 { return f.wxx - f.wx*f.wx/f.w }
func (f *fit) sxy() float64 { return f.wxy - f.wx*f.wy/f.w }
func (f *fit) syy() float64 { return f.wyy - f.wy*f.wy/f.w }

// slope is not known of fewer than three points: two always lie on a line.
func (f *fit) slope() float64 {
	if f.n < 3 || f.sxx() <= 0 {
		return math.NaN()
	}
	return f.sxy() / f.sxx()
}

func (f *fit) at(x float64) float64 { return f.y0 + f.wy/f.w + f.slope()*(x-f.x0-f.wx/f.w) }

// r2 is the part of the points' variance that the line explains.
func (f *fit) r2() float64 {
	if f.syy() <= 0 {
		return 0
	}
	return f.sxy() * f.sxy() / (f.sxx() * f.syy())
}

// studentT is the value that Student's t with df degrees of freedom stays within on both sides, with probability level: the normal
// quantile corrected by powers of 1/df (Abramowitz and Stegun 26.7.5). Good to a unit in the fourth digit for df of 4 and more.
func studentT(level, df float64) float64 {
	z := math.Sqrt2 * math.Erfinv(level)
	z2 := z * z
	g1 := z * (z2 + 1) / 4
	g2 := z * ((5*z2+16)*z2 + 3) / 96
	g3 := z * (((3*z2+19)*z2+17)*z2 - 15) / 384
	g4 := z * ((((79*z2+776)*z2+1482)*z2-1920)*z2 - 945) / 92160
	return z + (g1+(g2+(g3+g4/df)/df)/df)/df
}
