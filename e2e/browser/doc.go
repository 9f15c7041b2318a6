// Package browser opens the live page in Debian's Chromium and looks at it as a person would: what it draws of a real run, how
// it behaves when things are clicked, hidden or hostile, and what it asks for over the network.
//
// It needs one package:
//
//	apt-get install --no-install-recommends chromium
//	cd e2e && go test ./browser/
//
// A missing browser is a failure, not a skip. Screenshots are left in e2e/artifacts/browser.
package browser
