package onix

import "encoding/xml"

// names are the elements that matter: reference name and short tag.
var names = [][2]string{
	{"Product", "product"},
	{"RecordReference", "a001"},
	{"NotificationType", "a002"},
	{"ProductIdentifier", "productidentifier"},
	{"ProductIDType", "b221"},
	{"IDValue", "b244"},
	{"DescriptiveDetail", "descriptivedetail"},
	{"TitleDetail", "titledetail"},
	{"TitleType", "b202"},
	{"TitleElement", "titleelement"},
	{"TitleElementLevel", "x409"},
	{"PartNumber", "x410"},
	{"TitleText", "b203"},
	{"TitlePrefix", "b030"},
	{"TitleWithoutPrefix", "b031"},
	{"Subtitle", "b029"},
	{"TitleStatement", "x478"},
	{"Contributor", "contributor"},
	{"SequenceNumber", "b034"},
	{"ContributorRole", "b035"},
	{"PersonName", "b036"},
	{"PersonNameInverted", "b037"},
	{"TitlesBeforeNames", "b038"},
	{"NamesBeforeKey", "b039"},
	{"PrefixToKey", "b247"},
	{"KeyNames", "b040"},
	{"NamesAfterKey", "b041"},
	{"SuffixToKey", "b248"},
	{"CorporateName", "b047"},
	{"Language", "language"},
	{"LanguageRole", "b253"},
	{"LanguageCode", "b252"},
	{"CountryCode", "b251"},
	{"ScriptCode", "x420"},
	{"Subject", "subject"},
	{"SubjectSchemeIdentifier", "b067"},
	{"SubjectHeadingText", "b070"},
	{"CollateralDetail", "collateraldetail"},
	{"TextContent", "textcontent"},
	{"TextType", "x426"},
	{"Text", "d104"},
	{"SupportingResource", "supportingresource"},
	{"ResourceContentType", "x436"},
	{"ResourceMode", "x437"},
	{"ResourceVersion", "resourceversion"},
	{"ResourceLink", "x435"},
	{"PublishingDetail", "publishingdetail"},
	{"Imprint", "imprint"},
	{"ImprintName", "b079"},
	{"Publisher", "publisher"},
	{"PublishingRole", "b291"},
	{"PublisherName", "b081"},
	{"PublishingDate", "publishingdate"},
	{"PublishingDateRole", "x448"},
	{"DateFormat", "j260"},
	{"Date", "b306"},
}

// reference finds the reference name by either.
var reference = func() map[string]string {
	m := make(map[string]string, 2*len(names))
	for _, n := range names {
		m[n[0]], m[n[1]] = n[0], n[0]
	}
	return m
}()

// nameOf is the reference name of an element, or "" if it does not matter. The
// namespace says no more than the name does, and many messages have none.
func nameOf(e xml.StartElement) string { return reference[e.Name.Local] }
