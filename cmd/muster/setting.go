package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// An integer is a setting that is a whole number from least to most.
type integer struct {
	field       func(*config) *int
	least, most int
}

// A number is a setting that is a number from least to most.
type number struct {
	field       func(*config) *float64
	least, most float64
}

// A size is a setting that is a number of bytes.
type size struct{ field func(*config) *int64 }

// kind is what help calls the values of a setting.
func (s setting) kind() string {
	switch s.field.(type) {
	case func(*config) *bool:
		return "bool"
	case func(*config) *time.Duration:
		return "duration"
	case integer, number:
		return "number"
	case size:
		return "size"
	}
	return "string"
}

// set reads the text of a setting, as it stands in a flag, the environment or the
// file. The error names the setting and says what it can be.
func (s setting) set(c *config, text string) (err error) {
	switch field := s.field.(type) {
	case func(*config) *string:
		*field(c) = text
	case func(*config) *bool:
		if *field(c), err = strconv.ParseBool(text); err != nil {
			return s.wrong(text, "use true or false")
		}
	case func(*config) *time.Duration:
		d, err := parseSpan(text)
		if err != nil || d < 0 {
			return s.wrong(text, "use a duration such as 30s, 10m, 24h or 90d")
		}
		*field(c) = d
	case integer:
		n, err := strconv.Atoi(text)
		if err != nil || n < field.least || n > field.most {
			return s.wrong(text, fmt.Sprintf("use a whole number from %d to %d", field.least, field.most))
		}
		*field.field(c) = n
	case number:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || n < field.least || n > field.most {
			return s.wrong(text, fmt.Sprintf("use a number from %s to %s", plain(field.least), plain(field.most)))
		}
		*field.field(c) = n
	case size:
		n, err := humanize.ParseBytes(text)
		if err != nil || n > math.MaxInt64 {
			return s.wrong(text, "use a number of bytes, such as 1GiB or 500MB")
		}
		*field.field(c) = int64(n)
	default:
		panic("the setting " + s.name + " has a field of a type that is not known")
	}
	return nil
}

// parseSpan reads a duration, which may be a number of days.
func parseSpan(text string) (time.Duration, error) {
	days, inDays := strings.CutSuffix(text, "d")
	if !inDays {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || !(math.Abs(n) < math.MaxInt64/float64(24*time.Hour)) {
		return 0, fmt.Errorf("%q is no number of days", text)
	}
	return time.Duration(n * float64(24*time.Hour)), nil
}

func (s setting) wrong(text, hint string) error {
	return fmt.Errorf("%s is %q; %s", s.name, text, hint)
}

// text is the value of a setting, in the form that set reads.
func (s setting) text(c *config) string {
	switch field := s.field.(type) {
	case func(*config) *string:
		return *field(c)
	case func(*config) *bool:
		return strconv.FormatBool(*field(c))
	case func(*config) *time.Duration:
		return field(c).String()
	case integer:
		return strconv.Itoa(*field.field(c))
	case number:
		return plain(*field.field(c))
	case size:
		return plainSize(*field.field(c))
	}
	return ""
}

// plain prints a number without an exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// plainSize prints a number of bytes with the largest unit that leaves it whole.
func plainSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	for n != 0 && n%1024 == 0 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return strconv.FormatInt(n, 10) + units[0]
}

// written is the text of a flag. What it means is found out where the environment
// and the file are read too, so that all three are understood the same.
type written struct{ text, kind string }

func (w *written) String() string { return w.text }
func (w *written) Type() string   { return w.kind }

func (w *written) Set(text string) error {
	w.text = text
	return nil
}
