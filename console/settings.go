package console

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const settingsPath = root + "settings"

// A tab is one of several pages that belong together.
type tab struct{ Text, Path string }

// settingTabs are the pages of the settings.
var settingTabs = []tab{
	{"Server", settingsPath},
	{"Sign-in", settingsPath + "/sign-in"},
	{"Sessions", settingsPath + "/sessions"},
	{"Webhooks", settingsPath + "/webhooks"},
}

// A setting is what one of the pages shows.
type setting struct {
	Tabs []tab
	At   string // the path of the present one
	Of   any    // what the page itself shows
}

// showSetting shows one of the pages of the settings.
func (v *visit) showSetting(name, title, at string, of any) error {
	return v.show(name, page{Title: title, Section: "settings", Data: setting{settingTabs, at, of}})
}

// settingCrumbs lead back from a page below one of the settings.
func settingCrumbs(of tab) []crumb { return []crumb{{"Settings", settingsPath}, {of.Text, of.Path}} }

// serverView is what the server is told to do.
type serverView struct {
	*musterv1.ServiceProviderConfig

	Version string
	Base    baseURL
	Types   []*musterv1.ResourceType
}

func showServer(v *visit) error {
	config, err := v.discovery.GetServiceProviderConfig(v.Context(), &musterv1.GetServiceProviderConfigRequest{})
	if err != nil {
		return err
	}
	types, err := v.discovery.ListResourceTypes(v.Context(), &musterv1.ListResourceTypesRequest{})
	if err != nil {
		return err
	}
	return v.showSetting("settings", "Settings", settingsPath, serverView{config.GetServiceProviderConfig(), v.version, v.base(), types.GetResourceTypes()})
}

// sessionsView is who is signed in, and a link that was made just now.
type sessionsView struct {
	Sessions []*musterv1.Session
	Link     string // shown this once
	For      string
	Expires  any
	Problem  string
	Operator string
	Role     string
}

func listSessions(v *visit) error { return v.showSessions(sessionsView{Role: "viewer"}, nil) }

func (v *visit) showSessions(view sessionsView, problem error) error {
	out, err := v.operators.ListSessions(v.Context(), &musterv1.ListSessionsRequest{})
	if err != nil {
		return err
	}
	view.Sessions = out.GetSessions()
	if problem != nil {
		view.Problem = messageOf(problem)
	}
	return v.showSetting("sessions", "Sessions", settingsPath+"/sessions", view)
}

// roleOf is the role of a word.
func roleOf(word string) musterv1.OperatorRole {
	for role, name := range roleNames {
		if name == word {
			return role
		}
	}
	return musterv1.OperatorRole_OPERATOR_ROLE_UNSPECIFIED
}

// createLink makes a link that lets somebody in once, and shows it this once.
func createLink(v *visit) error {
	view := sessionsView{Operator: v.PostFormValue("operator"), Role: v.PostFormValue("role")}
	out, err := v.operators.CreateLoginLink(v.Context(), &musterv1.CreateLoginLinkRequest{
		Operator: view.Operator, Role: roleOf(view.Role), Lifetime: durationpb.New(15 * time.Minute),
	})
	if isInput(err) {
		return v.showSessions(view, err)
	}
	if err != nil {
		return err
	}
	view.Link, view.For, view.Expires = v.base().Issuer+root+"signin#"+out.GetSecret(), view.Operator, out.GetExpireTime()
	view.Operator = ""
	return v.showSessions(view, nil)
}

func askEndSession(v *visit) error {
	return v.ask(page{Section: "settings", Crumbs: settingCrumbs(settingTabs[2])}, question{
		Title: "End this session?", Button: "End it", Danger: true, Back: settingsPath + "/sessions", Text: "The operator is signed out at once, on every server.",
		Points: []string{"Who has a way to sign in can do so again."},
	})
}

func endSession(v *visit) error {
	if _, err := v.operators.RevokeSession(v.Context(), &musterv1.RevokeSessionRequest{Id: v.PathValue("id")}); err != nil {
		return err
	}
	return v.done(settingsPath+"/sessions", "The session is ended.")
}
