package scim

import (
	"strings"
	"testing"
)

// The resources that the table below asks about.
const (
	// Ada has nearly everything: two e-mail addresses, of which home has no
	// primary, and an e-mail without type.
	ada = `User {"id":"A1","externalId":"Ext","userName":"Ada.L","displayName":"Ädä Lovelace","active":true,
		"meta":{"resourceType":"User","created":"2026-01-31T08:00:00.123Z","lastModified":"2026-02-01T00:00:00Z","version":"W/\"3\""},
		"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"name":{"givenName":"Ada","familyName":"Lovelace"},"profileUrl":"https://Example.com/Ada",
		"emails":[{"value":"ada@Work.example","type":"work","primary":true},{"value":"ada@home.example","type":"home"},{"value":"x@y"}],
		"groups":[{"value":"G1","display":"Engineering"}],
		"x509Certificates":[{"value":"AQI="}],
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Analysis","manager":{"value":"M1"}}}`
	// Bob has little.
	bob = `User {"id":"B1","userName":"bob","active":false,"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],
		"meta":{"resourceType":"User","created":"2026-03-01T00:00:00Z"}}`
	// Nil has a name only: not even active.
	nobody = `User {"userName":"nil","emails":[{"type":"work"}],"name":{}}`
	group  = `Group {"id":"G1","displayName":"Engineering","members":[{"value":"A1","type":"User","display":"Ada"},{"value":"G2","type":"Group"}]}`
)

// Each line: who of Ada, Bob and Nobody (a, b, n) meets the filter.
const userMatches = `
a..  userName eq "ada.l"
.bn  userName ne "ADA.L"
a..  userName co "A.L"
.b.  userName sw "BO"
.b.  userName ew "ob"
abn  userName co ""
abn  userName pr
...  userName eq null
abn  userName ne null
.bn  userName gt "ada.l"
abn  userName ge "ada.l"
a..  userName lt "bob"
ab.  userName le "bob"
a..  id eq "A1"
...  id eq "a1"
ab.  id pr
a..  externalId eq "Ext"
...  externalId eq "ext"
abn  externalId ne "ext"
.bn  externalId eq null
a..  displayName eq "ÄDÄ LOVELACE"
a..  displayName sw "ädä"
.bn  not (displayName pr) or userName sw "ada" and title pr
...  title pr
...  title eq "x"
...  title eq ""
abn  title ne "x"
...  title co ""
...  title gt ""
abn  title eq null
...  title ne null
abn  not (title eq "x")
a..  active eq true
.b.  active eq false
.bn  active ne true
a.n  active ne false
ab.  active pr
..n  active eq null
a..  name.givenName eq "ada"
.bn  name.givenName ne "ada"
abn  name.middleName ne "x"
abn  name.middleName eq null
.bn  name.givenName eq null
a..  name pr
a..  name[givenName eq "ada" and familyName sw "love"]
...  name[givenName eq "ada" and familyName sw "x"]
a..  name[middleName ne "x"]
.bn  not (name[middleName ne "x"])
a..  profileUrl co "Example"
...  profileUrl co "example"
a..  emails eq "ADA@work.EXAMPLE"
a..  emails co "@home"
a..  emails.type eq "home"
a.n  emails.type eq "work"
a..  emails.type ne "work"
a.n  emails.value ne "x@y"
a.n  emails.primary ne true
a..  emails.primary eq true
...  emails.primary eq false
a.n  emails pr
a..  emails.value pr
.bn  emails.value eq null
a..  emails.value ne null
.b.  emails.type eq null
a.n  emails.type ne null
abn  not (emails.value eq "nobody")
a..  emails[type eq "work" and value co "work"]
...  emails[type eq "home" and value co "work"]
a..  emails.type eq "home" and emails.value co "work"
a..  emails[type eq "home" and primary ne true]
a..  emails[type eq null]
..n  emails[value eq null]
a.n  emails[type ne null]
a..  emails[value ne null]
a..  emails[not (type pr)]
a..  emails[type eq "work"].value co "work"
...  emails[type eq "home"].value co "work"
a..  emails[type eq "home" or value eq "nobody"]
.b.  not (emails[type eq "work"])
a..  groups.value eq "G1"
...  groups.value eq "g1"
a..  groups pr
.bn  groups eq null
...  roles ne "x"
...  roles.value ne "x"
abn  roles eq null
a..  x509Certificates.value eq "AQI"
...  x509Certificates.value eq "aqi="
...  x509Certificates.value ne "AQI="
a..  x509Certificates pr
a..  schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
...  schemas eq "URN:ietf:params:scim:schemas:core:2.0:User"
a..  schemas ne "urn:ietf:params:scim:schemas:core:2.0:User"
ab.  schemas pr
..n  schemas eq null
ab.  schemas ne null
ab.  meta.resourceType eq "User"
...  meta.resourceType eq "user"
ab.  meta pr
a..  meta.version eq "W/\"3\""
a..  meta.created eq "2026-01-31T08:00:00.123Z"
a..  meta.created eq "2026-01-31T08:00:00.1239Z"
a..  meta.created eq "2026-01-31T09:00:00.123+01:00"
.bn  meta.created ne "2026-01-31T08:00:00.123Z"
.b.  meta.created gt "2026-01-31T08:00:00.123999Z"
ab.  meta.created ge "2026-01-31T08:00:00.123Z"
...  meta.created lt "2026-01-31T08:00:00.123Z"
a..  meta.created le "2026-01-31T08:00:00.123Z"
a..  meta.lastModified pr
a..  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "analysis"
.bn  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ne "analysis"
.bn  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq null
a..  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "M1"
.bn  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager ne "M1"
a..  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager pr
a..  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager[value eq "M1" and displayName eq null]
...  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName pr
ab.  userName eq "bob" or userName eq "ada.l"
...  userName eq "bob" and active eq true
.bn  not (userName eq "ada.l" or title pr)
`

// The same of a group with two members, and of one without.
const groupMatches = `
g.  displayName eq "ENGINEERING"
g.  members.value eq "A1"
g.  members.value ne "A1"
g.  members eq "G2"
..  members eq "x"
g.  members[value eq "A1" and type eq "User"]
..  members[value eq "A1" and type eq "Group"]
g.  members.display co "da"
g.  members pr
.e  members eq null
.e  not (members.value pr)
`

func TestMatch(t *testing.T) {
	empty := `Group {"displayName":"Empty"}`
	for table, resources := range map[string][]string{
		userMatches:  {ada, bob, nobody},
		groupMatches: {group, empty},
	} {
		for line := range strings.Lines(strings.TrimSpace(table)) {
			want, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
			got := []byte(want)
			for i, resource := range resources {
				rt, r := decodeStored(t, resource)
				f, err := rt.ParseFilter(strings.TrimSpace(text))
				if err != nil {
					t.Fatal(err)
				}
				if rt.Match(f, r) != (want[i] != '.') {
					got[i] = '!'
				}
			}
			if string(got) != want {
				t.Errorf("%s\nis wrong at each ! of %s; want %s", text, got, want)
			}
		}
	}
}

// decodeStored reads a resource with what clients cannot set.
func decodeStored(t testing.TB, resource string) (*ResourceType, Resource) {
	t.Helper()
	name, doc, _ := strings.Cut(resource, " ")
	rt := map[string]*ResourceType{"User": User, "Group": Group}[name]
	r, err := rt.DecodeDocument([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return rt, r
}

// matchElement asks one element; a patch uses it for what its path selects.
func TestMatchElement(t *testing.T) {
	_, r := decodeStored(t, ada)
	emails := User.Attribute("emails")
	for path, want := range map[string]string{
		`emails[type eq "WORK"]`:                        "100",
		`emails[type ne "work"]`:                        "011",
		`emails[primary eq true or not (type pr)]`:      "101",
		`emails[value co "example" and type ne "home"]`: "100",
		`emails[type eq null]`:                          "001",
	} {
		p, err := User.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range objectOf(r).count(emails) {
			if matchElement(p.Filter, objectOf(r).child(emails, i)) {
				got += "1"
			} else {
				got += "0"
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	_, r := decodeStored(b, ada)
	for name, text := range map[string]string{
		"userName": `userName eq "ada.l"`,
		"emails":   `emails[type eq "home" and value co "@home"] and meta.created gt "2026-01-01T00:00:00Z"`,
	} {
		f, err := User.ParseFilter(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !User.Match(f, r) {
					b.Fatal("no match")
				}
			}
		})
	}
}
