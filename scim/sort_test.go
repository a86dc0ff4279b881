package scim

import (
	"strings"
	"testing"
)

// Each list stands in ascending order.
func TestSort_Order(t *testing.T) {
	long := strings.Repeat("é", SortLength)
	for _, c := range []struct {
		sortBy string
		users  []string
	}{
		{"", []string{`{"id":"1","userName":"b"}`, `{"id":"2","userName":"a"}`}},
		{"id", []string{`{"id":"1","userName":"b"}`, `{"id":"2","userName":"a"}`}},
		// Without regard to case, by code points, and where they are equal by id.
		{"userName", []string{`{"id":"9","userName":"abc"}`, `{"id":"1","userName":"ABd"}`, `{"id":"5","userName":"aBD"}`, `{"id":"2","userName":"z"}`, `{"id":"3","userName":"É"}`, `{"id":"0","userName":"😀"}`}},
		{"urn:ietf:params:scim:schemas:core:2.0:User:USERNAME", []string{`{"id":"9","userName":"abc"}`, `{"id":"1","userName":"ABd"}`}},
		// With regard to case; without a value last.
		{"externalId", []string{`{"id":"9","externalId":"B"}`, `{"id":"8","externalId":"a"}`, `{"id":"1"}`, `{"id":"2","externalId":""}`}},
		{"active", []string{`{"id":"9","active":false}`, `{"id":"1","active":true}`, `{"id":"0"}`}},
		{"meta.lastModified", []string{`{"id":"9","meta":{"lastModified":"2026-02-01T00:00:00+01:00"}}`, `{"id":"1","meta":{"lastModified":"2026-02-01T00:00:00Z"}}`, `{"id":"0"}`}},
		{"name.familyName", []string{`{"id":"9","name":{"familyName":"A"}}`, `{"id":"8","name":{"familyName":"b"}}`, `{"id":"1","name":{"givenName":"A"}}`, `{"id":"2"}`}},
		// Of several values the primary one counts, or else the first.
		{"emails", []string{`{"id":"9","emails":[{"value":"z"},{"value":"A","primary":true}]}`, `{"id":"8","emails":[{"value":"b"},{"value":"a"}]}`, `{"id":"7","emails":[{"value":"c"},{"value":"a","primary":false}]}`, `{"id":"1"}`}},
		{"emails.type", []string{`{"id":"9","emails":[{"value":"z","type":"home"}]}`, `{"id":"8","emails":[{"value":"z","type":"work"}]}`, `{"id":"1","emails":[{"value":"a","type":"a"},{"value":"b","primary":true}]}`}},
		{"groups.display", []string{`{"id":"9","groups":[{"value":"1","display":"a"},{"value":"2","display":"z"}]}`, `{"id":"1","groups":[{"value":"1","display":"B"}]}`, `{"id":"0"}`}},
		{"x509Certificates", []string{`{"id":"9","x509Certificates":[{"value":"AQI="}]}`, `{"id":"1","x509Certificates":[{"value":"aQI="}]}`}},
		{"schemas", []string{`{"id":"9","schemas":["a"]}`, `{"id":"1","schemas":["b","a"]}`}},
		{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", []string{
			`{"id":"9","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"1"}}}`, `{"id":"1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"x"}}`, `{"id":"2"}`,
		}},
		// Only so many characters count.
		{"title", []string{`{"id":"1","title":"` + long + `b"}`, `{"id":"2","title":"` + long + `a"}`, `{"id":"0","title":"` + long[2:] + `ê"}`}},
	} {
		s := Sort{}
		if c.sortBy != "" {
			var err error
			if s.Attr, err = User.ParseSort(c.sortBy); err != nil {
				t.Error(err)
				continue
			}
		}
		for i, first := range c.users {
			for j, second := range c.users {
				_, p := decodeStored(t, "User "+first)
				_, q := decodeStored(t, "User "+second)
				want := compareInts(i, j)
				if got := s.Compare(s.PlaceOf(p), s.PlaceOf(q)); got != want {
					t.Errorf("sorted by %s: %s and %s compare as %d, not %d", c.sortBy, first, second, got, want)
				}
				s.Descending = true
				if got := s.Compare(s.PlaceOf(p), s.PlaceOf(q)); got != -want {
					t.Errorf("sorted by %s, descending: %s and %s compare as %d, not %d", c.sortBy, first, second, got, -want)
				}
				s.Descending = false
			}
		}
	}
}

func compareInts(i, j int) int {
	switch {
	case i < j:
		return -1
	case i > j:
		return 1
	}
	return 0
}

func TestParseSort_Errors(t *testing.T) {
	for sortBy, want := range map[string]string{
		"shoeSize":          `invalidValue: sortBy: "shoeSize" is not an attribute of User`,
		"emails.shoeSize":   `invalidValue: sortBy: "emails.shoeSize" is not an attribute of User`,
		"emails[type pr]":   `invalidValue: sortBy: "emails[type pr]" is not an attribute of User`,
		"password":          `invalidValue: sortBy: password is never returned`,
		"meta.location":     `invalidValue: sortBy: meta.location depends on the server's address`,
		"groups.$ref":       `invalidValue: sortBy: groups.$ref depends on the server's address`,
		"name":              `invalidValue: sortBy: name has sub-attributes; name one of them`,
		"meta":              `invalidValue: sortBy: meta has sub-attributes; name one of them`,
		"userName,title":    `invalidValue: sortBy: "userName,title" is not an attribute of User`,
		enterpriseURN:       `invalidValue: sortBy: ` + enterpriseURN + ` has sub-attributes; name one of them`,
		" ":                 `invalidValue: sortBy: " " is not an attribute of User`,
		"userName desc; --": `invalidValue: sortBy: "userName desc; --" is not an attribute of User`,
	} {
		if a, err := User.ParseSort(sortBy); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v", sortBy, a, err)
		}
	}
}

// Where types are listed together, those that lack the attribute have no value.
func TestParseSorts(t *testing.T) {
	both := Contract.ResourceTypes()
	for sortBy, want := range map[string]string{
		"displayName": "displayName displayName", "userName": "userName -", "members.type": "- members.type", "meta.created": "meta.created meta.created",
		"password": "sortBy: password is never returned", "shoeSize": `sortBy: "shoeSize" is not an attribute of User`,
	} {
		got := ""
		attrs, err := ParseSorts(both, sortBy)
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "invalidValue: ")
		}
		for i, a := range attrs {
			if i > 0 {
				got += " "
			}
			if a == nil {
				got += "-"
			} else {
				got += a.Path
			}
		}
		if got != want {
			t.Errorf("%s: %s", sortBy, got)
		}
	}
}

// A filter over several types takes what a type does not have for unassigned.
func TestParseFilters(t *testing.T) {
	_, person := decodeStored(t, ada)
	_, team := decodeStored(t, group)
	for filter, want := range map[string]string{
		`displayName co "e"`:                    "ag",
		`userName eq "ada.l"`:                   "a",
		`userName ne "ada.l"`:                   "g",
		`userName pr`:                           "a",
		`not (userName pr)`:                     "g",
		`userName eq null`:                      "g",
		`userName ne null`:                      "a",
		`emails[type eq "work"]`:                "a",
		`not (emails[type eq "work"])`:          "g",
		`emails[type eq "work"].value sw "ada"`: "a",
		`emails.type ne "home"`:                 "a", // without elements nothing is met
		`name.givenName ne "x"`:                 "ag",
		`members.type eq "User"`:                "g",
		`active eq true or members pr`:          "ag",
		`active eq true and members pr`:         "",
		`meta.resourceType eq "Group"`:          "", // the group of this test has no meta
		`id eq "G1" or userName sw "ada"`:       "ag",
		`urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "Engineering"`: "g",
		enterpriseURN + `:department eq "Analysis"`:                                "a",
	} {
		filters, err := ParseFilters(Contract.ResourceTypes(), filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		got := ""
		if User.Match(filters[0], person) {
			got += "a"
		}
		if Group.Match(filters[1], team) {
			got += "g"
		}
		if got != want {
			t.Errorf("%s: %q, not %q", filter, got, want)
		}
	}
	for filter, want := range map[string]string{
		`shoeSize eq 7`:         `invalidFilter: "shoeSize" is not an attribute of any resource type, at character 1`,
		`active gt true`:        `invalidFilter: gt does not apply to active, which is a boolean, at character 8`,
		`members eq true`:       `invalidFilter: members.value is a string, not "true", at character 12`,
		`password eq "x"`:       `invalidFilter: password is never returned and cannot be searched for, at character 1`,
		`emails[shoe eq "x"]`:   `invalidFilter: "shoe" is not an attribute of emails, at character 8`,
		`userName eq "a" title`: `invalidFilter: expected "and", "or" or the end of the filter, not "title", at character 17`,
	} {
		if _, err := ParseFilters(Contract.ResourceTypes(), filter); err == nil || err.Error() != want {
			t.Errorf("%s: %v", filter, err)
		}
	}
}
