package status

// Message returns what the user is told about the state of a license, in a
// language (LSD §2.2).
func (s State) Message(l Language) string { return l.text().states[s] }

// A text is all that users are told, in one language.
type text struct {
	tag      string // of the language; a primary subtag of two letters
	states   map[State]string
	failures map[Failure]explanation
}

// An explanation is what a problem document says of a failure.
type explanation struct {
	title  string // as LSD §3.3 to §3.5 have it, in English
	detail string
}

// text returns the texts of l, or the English ones if there is no such language.
func (l Language) text() *text {
	if int(l) >= len(texts) {
		l = English
	}
	return &texts[l]
}

// texts has those of each language, in the order of the constants.
//
//nolint:misspell // most of it is not English
var texts = [...]text{
	English: {
		tag: "en",
		states: map[State]string{
			Ready:     "Your license is ready. It has not been used on any device yet.",
			Active:    "Your license is active.",
			Revoked:   "Your license has been revoked by its provider. The publication can no longer be opened.",
			Returned:  "You have returned this publication. It can no longer be opened.",
			Cancelled: "Your license was cancelled before it was first used. The publication can no longer be opened.",
			Expired:   "Your license has expired. The publication can no longer be opened.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Your device could not be registered properly.",
				"The license is no longer valid, or the reading app did not identify the device.",
			},
			FailureRenew: {
				"Your publication could not be renewed properly.",
				"This license cannot be extended. If you need more time, please contact the provider of the publication.",
			},
			FailureRenewDate: {
				"Incorrect renewal period, your publication could not be renewed.",
				"The new end date must be later than the current one and within the longest period the provider allows.",
			},
			FailureReturn: {
				"Your publication could not be returned properly.",
				"This license cannot be returned, or it was not registered on this device.",
			},
			FailureReturnAlready: {
				"Your publication has already been returned before.",
				"There is nothing more for you to do.",
			},
			FailureReturnExpired: {
				"Your publication has already expired.",
				"The loan ended by itself, so there is nothing left to return.",
			},
			FailureServer: {
				"An unexpected error has occurred.",
				"The request could not be processed. Please try again later.",
			},
		},
	},
	French: {
		tag: "fr",
		states: map[State]string{
			Ready:     "Votre licence est prête. Elle n’a encore été utilisée sur aucun appareil.",
			Active:    "Votre licence est active.",
			Revoked:   "Votre licence a été révoquée par son fournisseur. La publication ne peut plus être ouverte.",
			Returned:  "Vous avez rendu cette publication. Elle ne peut plus être ouverte.",
			Cancelled: "Votre licence a été annulée avant sa première utilisation. La publication ne peut plus être ouverte.",
			Expired:   "Votre licence a expiré. La publication ne peut plus être ouverte.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Votre appareil n’a pas pu être enregistré.",
				"La licence n’est plus valide, ou l’application de lecture n’a pas identifié l’appareil.",
			},
			FailureRenew: {
				"Votre publication n’a pas pu être prolongée.",
				"Cette licence ne peut pas être prolongée. S’il vous faut plus de temps, veuillez contacter le fournisseur de la publication.",
			},
			FailureRenewDate: {
				"La période de prolongation est incorrecte, votre publication n’a pas pu être prolongée.",
				"La nouvelle date de fin doit être postérieure à la date de fin actuelle et respecter la durée maximale autorisée par le fournisseur.",
			},
			FailureReturn: {
				"Votre publication n’a pas pu être rendue.",
				"Cette licence ne peut pas être rendue, ou elle n’a pas été enregistrée sur cet appareil.",
			},
			FailureReturnAlready: {
				"Votre publication a déjà été rendue.",
				"Vous n’avez plus rien à faire.",
			},
			FailureReturnExpired: {
				"Votre publication a déjà expiré.",
				"Le prêt a pris fin de lui-même, il n’y a plus rien à rendre.",
			},
			FailureServer: {
				"Une erreur inattendue s’est produite.",
				"La demande n’a pas pu être traitée. Veuillez réessayer plus tard.",
			},
		},
	},
	German: {
		tag: "de",
		states: map[State]string{
			Ready:     "Ihre Lizenz liegt bereit. Sie wurde noch auf keinem Gerät verwendet.",
			Active:    "Ihre Lizenz ist aktiv.",
			Revoked:   "Ihre Lizenz wurde vom Anbieter widerrufen. Die Publikation kann nicht mehr geöffnet werden.",
			Returned:  "Sie haben diese Publikation zurückgegeben. Sie kann nicht mehr geöffnet werden.",
			Cancelled: "Ihre Lizenz wurde vor der ersten Verwendung storniert. Die Publikation kann nicht mehr geöffnet werden.",
			Expired:   "Ihre Lizenz ist abgelaufen. Die Publikation kann nicht mehr geöffnet werden.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Ihr Gerät konnte nicht registriert werden.",
				"Die Lizenz ist nicht mehr gültig, oder die Lese-App hat das Gerät nicht benannt.",
			},
			FailureRenew: {
				"Ihre Publikation konnte nicht verlängert werden.",
				"Diese Lizenz kann nicht verlängert werden. Wenn Sie mehr Zeit benötigen, wenden Sie sich bitte an den Anbieter der Publikation.",
			},
			FailureRenewDate: {
				"Der Verlängerungszeitraum ist nicht zulässig, Ihre Publikation konnte nicht verlängert werden.",
				"Das neue Enddatum muss nach dem bisherigen liegen und darf die vom Anbieter erlaubte Höchstdauer nicht überschreiten.",
			},
			FailureReturn: {
				"Ihre Publikation konnte nicht zurückgegeben werden.",
				"Diese Lizenz kann nicht zurückgegeben werden, oder sie wurde nicht auf diesem Gerät registriert.",
			},
			FailureReturnAlready: {
				"Ihre Publikation wurde bereits zurückgegeben.",
				"Sie müssen nichts weiter tun.",
			},
			FailureReturnExpired: {
				"Ihre Publikation ist bereits abgelaufen.",
				"Die Ausleihe ist von selbst zu Ende gegangen, eine Rückgabe ist nicht mehr nötig.",
			},
			FailureServer: {
				"Ein unerwarteter Fehler ist aufgetreten.",
				"Die Anfrage konnte nicht bearbeitet werden. Bitte versuchen Sie es später erneut.",
			},
		},
	},
	Spanish: {
		tag: "es",
		states: map[State]string{
			Ready:     "Su licencia está lista. Todavía no se ha utilizado en ningún dispositivo.",
			Active:    "Su licencia está activa.",
			Revoked:   "El proveedor ha revocado su licencia. La publicación ya no se puede abrir.",
			Returned:  "Ha devuelto esta publicación. Ya no se puede abrir.",
			Cancelled: "Su licencia se canceló antes de utilizarse por primera vez. La publicación ya no se puede abrir.",
			Expired:   "Su licencia ha caducado. La publicación ya no se puede abrir.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"No se ha podido registrar su dispositivo.",
				"La licencia ya no es válida o la aplicación de lectura no ha identificado el dispositivo.",
			},
			FailureRenew: {
				"No se ha podido renovar su publicación.",
				"Esta licencia no se puede prorrogar. Si necesita más tiempo, póngase en contacto con el proveedor de la publicación.",
			},
			FailureRenewDate: {
				"El período de renovación es incorrecto; no se ha podido renovar su publicación.",
				"La nueva fecha de finalización debe ser posterior a la actual y no superar la duración máxima permitida por el proveedor.",
			},
			FailureReturn: {
				"No se ha podido devolver su publicación.",
				"Esta licencia no se puede devolver o no se registró en este dispositivo.",
			},
			FailureReturnAlready: {
				"Su publicación ya se había devuelto.",
				"No tiene que hacer nada más.",
			},
			FailureReturnExpired: {
				"Su publicación ya ha caducado.",
				"El préstamo ha terminado por sí solo, así que no queda nada por devolver.",
			},
			FailureServer: {
				"Se ha producido un error inesperado.",
				"No se ha podido procesar la solicitud. Vuelva a intentarlo más tarde.",
			},
		},
	},
	Italian: {
		tag: "it",
		states: map[State]string{
			Ready:     "La licenza è pronta. Non è ancora stata utilizzata su alcun dispositivo.",
			Active:    "La licenza è attiva.",
			Revoked:   "La licenza è stata revocata dal fornitore. La pubblicazione non può più essere aperta.",
			Returned:  "La pubblicazione è stata restituita. Non può più essere aperta.",
			Cancelled: "La licenza è stata annullata prima del primo utilizzo. La pubblicazione non può più essere aperta.",
			Expired:   "La licenza è scaduta. La pubblicazione non può più essere aperta.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Non è stato possibile registrare il dispositivo.",
				"La licenza non è più valida oppure l’app di lettura non ha identificato il dispositivo.",
			},
			FailureRenew: {
				"Non è stato possibile rinnovare la pubblicazione.",
				"Questa licenza non può essere prorogata. Se serve più tempo, contattare il fornitore della pubblicazione.",
			},
			FailureRenewDate: {
				"Il periodo di rinnovo non è corretto, non è stato possibile rinnovare la pubblicazione.",
				"La nuova data di scadenza deve essere successiva a quella attuale e rientrare nella durata massima consentita dal fornitore.",
			},
			FailureReturn: {
				"Non è stato possibile restituire la pubblicazione.",
				"Questa licenza non può essere restituita oppure non è stata registrata su questo dispositivo.",
			},
			FailureReturnAlready: {
				"La pubblicazione è già stata restituita.",
				"Non è necessario fare altro.",
			},
			FailureReturnExpired: {
				"La pubblicazione è già scaduta.",
				"Il prestito è terminato da sé, non c’è più nulla da restituire.",
			},
			FailureServer: {
				"Si è verificato un errore imprevisto.",
				"Non è stato possibile elaborare la richiesta. Riprovare più tardi.",
			},
		},
	},
	Portuguese: {
		tag: "pt",
		states: map[State]string{
			Ready:     "A sua licença está pronta. Ainda não foi utilizada em nenhum dispositivo.",
			Active:    "A sua licença está ativa.",
			Revoked:   "A sua licença foi revogada pelo fornecedor. A publicação já não pode ser aberta.",
			Returned:  "Esta publicação foi devolvida. Já não pode ser aberta.",
			Cancelled: "A sua licença foi cancelada antes da primeira utilização. A publicação já não pode ser aberta.",
			Expired:   "A sua licença expirou. A publicação já não pode ser aberta.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Não foi possível associar o seu dispositivo à licença.",
				"A licença já não é válida ou a app de leitura não identificou o dispositivo.",
			},
			FailureRenew: {
				"Não foi possível renovar a sua publicação.",
				"Esta licença não pode ser prorrogada. Se precisar de mais tempo, dirija-se ao fornecedor da publicação.",
			},
			FailureRenewDate: {
				"O período de renovação é incorreto; não foi possível renovar a sua publicação.",
				"A nova data de término deve ser posterior à atual e respeitar a duração máxima permitida pelo fornecedor.",
			},
			FailureReturn: {
				"Não foi possível devolver a sua publicação.",
				"Esta licença não pode ser devolvida ou não está associada a este dispositivo.",
			},
			FailureReturnAlready: {
				"A sua publicação já tinha sido devolvida.",
				"Não é necessário fazer mais nada.",
			},
			FailureReturnExpired: {
				"A sua publicação já expirou.",
				"O empréstimo terminou por si só; não há mais nada para devolver.",
			},
			FailureServer: {
				"Ocorreu um erro inesperado.",
				"Não foi possível processar o pedido. Tente novamente mais tarde.",
			},
		},
	},
	Dutch: {
		tag: "nl",
		states: map[State]string{
			Ready:     "Uw licentie staat klaar. Ze is nog op geen enkel apparaat gebruikt.",
			Active:    "Uw licentie is actief.",
			Revoked:   "Uw licentie is door de aanbieder ingetrokken. De publicatie kan niet meer worden geopend.",
			Returned:  "U hebt deze publicatie teruggebracht. Ze kan niet meer worden geopend.",
			Cancelled: "Uw licentie is vóór het eerste gebruik geannuleerd. De publicatie kan niet meer worden geopend.",
			Expired:   "Uw licentie is verlopen. De publicatie kan niet meer worden geopend.",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"Uw apparaat kon niet worden geregistreerd.",
				"De licentie is niet meer geldig, of de leesapp heeft niet opgegeven om welk apparaat het gaat.",
			},
			FailureRenew: {
				"Uw publicatie kon niet worden verlengd.",
				"Deze licentie kan niet worden verlengd. Neem contact op met de aanbieder van de publicatie als u meer tijd nodig hebt.",
			},
			FailureRenewDate: {
				"De verlengingsperiode is onjuist, uw publicatie kon niet worden verlengd.",
				"De nieuwe einddatum moet na de huidige liggen en binnen de maximale duur vallen die de aanbieder toestaat.",
			},
			FailureReturn: {
				"Uw publicatie kon niet worden teruggebracht.",
				"Deze licentie kan niet worden teruggebracht, of ze is niet op dit apparaat geregistreerd.",
			},
			FailureReturnAlready: {
				"Uw publicatie was al teruggebracht.",
				"U hoeft verder niets te doen.",
			},
			FailureReturnExpired: {
				"Uw publicatie is al verlopen.",
				"De uitlening is vanzelf geëindigd, u hoeft niets meer terug te brengen.",
			},
			FailureServer: {
				"Er is een onverwachte fout opgetreden.",
				"Het verzoek kon niet worden verwerkt. Probeer het later opnieuw.",
			},
		},
	},
	Japanese: {
		tag: "ja",
		states: map[State]string{
			Ready:     "ライセンスの準備ができました。まだどの端末でも使用されていません。",
			Active:    "ライセンスは有効です。",
			Revoked:   "ライセンスは提供者によって取り消されました。この出版物を開くことはできません。",
			Returned:  "この出版物は返却済みです。開くことはできません。",
			Cancelled: "ライセンスは使用開始前にキャンセルされました。この出版物を開くことはできません。",
			Expired:   "ライセンスの有効期限が切れました。この出版物を開くことはできません。",
		},
		failures: map[Failure]explanation{
			FailureRegistration: {
				"端末を登録できませんでした。",
				"ライセンスが無効になっているか、読書アプリから端末の情報が送信されませんでした。",
			},
			FailureRenew: {
				"出版物の利用期間を延長できませんでした。",
				"このライセンスは延長できません。延長をご希望の場合は、出版物の提供者にお問い合わせください。",
			},
			FailureRenewDate: {
				"延長期間が正しくないため、出版物の利用期間を延長できませんでした。",
				"新しい終了日時は、現在の終了日時より後で、提供者が認める最長期間内でなければなりません。",
			},
			FailureReturn: {
				"出版物を返却できませんでした。",
				"このライセンスは返却できないか、この端末に登録されていません。",
			},
			FailureReturnAlready: {
				"出版物はすでに返却されています。",
				"これ以上の操作は必要ありません。",
			},
			FailureReturnExpired: {
				"出版物の有効期限はすでに切れています。",
				"貸出は自動的に終了したため、返却の必要はありません。",
			},
			FailureServer: {
				"予期しないエラーが発生しました。",
				"リクエストを処理できませんでした。しばらくしてからもう一度お試しください。",
			},
		},
	},
}
