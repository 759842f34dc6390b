package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The plot has services and seconds on logarithmic axes.
const (
	wide, high           = 760, 440
	left, right          = 70, 130
	top, bottom          = 40, 50
	leastSize, mostSize  = 100.0, 1e6
	leastTime, mostTime  = 1e-5, 100.0
	plotWide, plotHeight = wide - left - right, high - top - bottom
)

var colours = []string{"#0b6e4f", "#e07a1f", "#b23a48", "#3d5a80", "#7b2cbf", "#00889c", "#6c757d"}

func atSize(n float64) float64 {
	return left + plotWide*math.Log(n/leastSize)/math.Log(mostSize/leastSize)
}

func atTime(s float64) float64 {
	return top + plotHeight*(1-math.Log(max(s, leastTime)/leastTime)/math.Log(mostTime/leastTime))
}

// growth draws the mixes' times as SVG. A solver that was stopped at a size has
// a hollow mark at the limit, and is not drawn beyond.
func growth(rows []*line, limit time.Duration) []byte {
	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", wide, high)
	fmt.Fprintf(&w, `<rect width="%d" height="%d" fill="white"/>`+"\n", wide, high)
	fmt.Fprintf(&w, `<text x="%d" y="22" font-size="14">From a problem in memory to a proved placement, policy mixes</text>`+"\n", left)
	for n := leastSize; n <= mostSize; n *= 10 {
		x := atSize(n)
		fmt.Fprintf(&w, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x, x, top, high-bottom, x, high-bottom+18, thousands(int(n)))
	}
	for s := leastTime; s < mostTime*1.1; s *= 10 {
		y := atTime(s)
		fmt.Fprintf(&w, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, wide-right, y, y, left-8, y+4, fmt.Sprintf("%g s", math.Round(s*1e6)/1e6))
	}
	fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="middle">services</text>`+"\n", left+plotWide/2, high-12)
	labels := map[[2]int]bool{} // places that are taken
	for i, s := range solvers {
		w.WriteString(curve(rows, s.name, colours[i], limit, labels))
	}
	w.WriteString("</svg>\n")
	return []byte(w.String())
}

func curve(rows []*line, solver, colour string, limit time.Duration, labels map[[2]int]bool) string {
	var points, marks strings.Builder
	x, y := 0.0, 0.0
	for _, r := range rows {
		a := r.answers[solver]
		if r.family != "mix" || a.Status != best && a.Status != timedOut {
			continue
		}
		fill := colour
		x, y = atSize(float64(r.services)), atTime(a.Seconds)
		if a.Status == timedOut {
			fill, y = "white", atTime(limit.Seconds())
		}
		fmt.Fprintf(&points, "%.1f,%.1f ", x, y)
		fmt.Fprintf(&marks, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="%s"/>`+"\n", x, y, fill, colour)
	}
	row := int(y / 14)
	for labels[[2]int{int(x), row}] {
		row++
	}
	labels[[2]int{int(x), row}] = true
	return fmt.Sprintf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n%s"+`<text x="%.1f" y="%d" fill="%s">%s</text>`+"\n",
		strings.TrimSpace(points.String()), colour, marks.String(), x+9, row*14+11, colour, solver)
}

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
