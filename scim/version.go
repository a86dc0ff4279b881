package scim

import (
	"slices"
	"strconv"
	"strings"
)

// FormatVersion makes the ETag of a version: W/"n" (RFC 7644 section 3.14).
func FormatVersion(n int64) string { return `W/"` + strconv.FormatInt(n, 10) + `"` }

// Match is the condition of an If-Match header. The zero Match is no condition.
type Match struct {
	given    bool
	any      bool
	versions []int64
}

// ParseMatch reads an If-Match header: ETags separated by commas, or "*". Weak
// and strong tags are the same here, since SCIM's own examples send weak ones.
// A tag that no resource of ours can have matches nothing.
func ParseMatch(header string) (Match, error) {
	header = strings.TrimSpace(header)
	if header == "" {
		return Match{}, nil
	}
	if header == "*" {
		return Match{given: true, any: true}, nil
	}
	m := Match{given: true}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
			return Match{}, Errorf(InvalidVers, `%q is not an ETag; send the version as it was returned, such as W/"3"`, tag)
		}
		if n, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64); err == nil {
			m.versions = append(m.versions, n)
		}
	}
	return m, nil
}

// Allows tells whether a resource with this version may be changed.
func (m Match) Allows(version int64) bool {
	return !m.given || m.any || slices.Contains(m.versions, version)
}
