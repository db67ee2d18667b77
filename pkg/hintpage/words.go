package hintpage

import "github.com/lcp-tools/lcp/pkg/status"

// words is what the page says in one language.
type words struct {
	Title   string // and heading
	Lead    string // what the passphrase is
	Where   string // heading of the advice
	Advice  []string
	Recover string // label of the link to the provider
	Help    string // heading of the support links
	Contact string // where there are none
	Caution string // that nobody enters it here
}

// wordsIn returns those of a language, or the English ones.
func wordsIn(l status.Language) *words {
	if w, ok := translations[l]; ok {
		return &w
	}
	w := translations[status.English]
	return &w
}

//nolint:misspell // most of it is not English
var translations = map[status.Language]words{
	status.English: {
		Title: "Find your passphrase",
		Lead:  "Your publication opens with a passphrase. The reading app asks for it once on each device and then remembers it.",
		Where: "Where to look",
		Advice: []string{
			"Read the hint that the reading app shows where it asks for the passphrase.",
			"Look into your account with the bookshop or library that you have the publication from, and through the messages they sent you.",
			"Try the passphrase of your other publications from there: usually it is the same.",
			"Enter it exactly as it was given. Capital letters, spaces and accents count.",
		},
		Recover: "Recover your passphrase",
		Help:    "Need more help?",
		Contact: "Please contact the bookshop or library that you have the publication from. They can tell you the passphrase or give you a new one.",
		Caution: "This page does not know your passphrase and never asks you to enter it.",
	},
	status.French: {
		Title: "Retrouver votre phrase secrète",
		Lead:  "Votre publication s’ouvre avec une phrase secrète. L’application de lecture la demande une fois sur chaque appareil, puis la garde en mémoire.",
		Where: "Où chercher",
		Advice: []string{
			"Lisez l’indice que l’application de lecture affiche lorsqu’elle demande la phrase secrète.",
			"Consultez votre compte auprès de la librairie ou de la bibliothèque d’où vient la publication, ainsi que les messages qu’elle vous a envoyés.",
			"Essayez la phrase secrète de vos autres publications de même provenance : c’est en général la même.",
			"Saisissez-la exactement comme elle vous a été donnée. Les majuscules, les espaces et les accents comptent.",
		},
		Recover: "Récupérer votre phrase secrète",
		Help:    "Besoin d’aide ?",
		Contact: "Adressez-vous à la librairie ou à la bibliothèque d’où vient la publication. Elle peut vous rappeler la phrase secrète ou vous en donner une nouvelle.",
		Caution: "Cette page ne connaît pas votre phrase secrète et ne vous demande jamais de la saisir.",
	},
	status.German: {
		Title: "Passphrase finden",
		Lead:  "Ihre Publikation wird mit einer Passphrase geöffnet. Die Lese-App fragt auf jedem Gerät einmal danach und merkt sie sich dann.",
		Where: "Wo Sie nachsehen können",
		Advice: []string{
			"Lesen Sie den Hinweis, den die Lese-App zeigt, wenn sie nach der Passphrase fragt.",
			"Sehen Sie in Ihrem Konto bei der Buchhandlung oder Bibliothek nach, von der Sie die Publikation haben, und in den Nachrichten, die Sie von dort bekommen haben.",
			"Versuchen Sie es mit der Passphrase Ihrer anderen Publikationen von dort: Meist ist es dieselbe.",
			"Geben Sie die Passphrase genau so ein, wie Sie sie bekommen haben. Auf Großbuchstaben, Leerzeichen und Akzente kommt es an.",
		},
		Recover: "Passphrase anfordern",
		Help:    "Brauchen Sie weitere Hilfe?",
		Contact: "Wenden Sie sich bitte an die Buchhandlung oder Bibliothek, von der Sie die Publikation haben. Dort kann man Ihnen die Passphrase nennen oder eine neue geben.",
		Caution: "Diese Seite kennt Ihre Passphrase nicht und fragt Sie nie danach.",
	},
	status.Spanish: {
		Title: "Encuentre su contraseña",
		Lead:  "Su publicación se abre con una contraseña. La aplicación de lectura la pide una vez en cada dispositivo y después la recuerda.",
		Where: "Dónde buscar",
		Advice: []string{
			"Lea la pista que muestra la aplicación de lectura cuando pide la contraseña.",
			"Mire en su cuenta de la librería o biblioteca de la que procede la publicación y en los mensajes que le ha enviado.",
			"Pruebe con la contraseña de sus otras publicaciones de la misma procedencia: suele ser la misma.",
			"Escríbala exactamente como la recibió. Las mayúsculas, los espacios y los acentos cuentan.",
		},
		Recover: "Recuperar su contraseña",
		Help:    "¿Necesita más ayuda?",
		Contact: "Póngase en contacto con la librería o biblioteca de la que procede la publicación. Allí pueden recordarle la contraseña o darle una nueva.",
		Caution: "Esta página no conoce su contraseña y nunca le pide que la escriba.",
	},
	status.Italian: {
		Title: "Trovare la passphrase",
		Lead:  "La pubblicazione si apre con una passphrase. L’app di lettura la chiede una volta su ogni dispositivo e poi la ricorda.",
		Where: "Dove cercare",
		Advice: []string{
			"Leggere il suggerimento che l’app di lettura mostra quando chiede la passphrase.",
			"Controllare il proprio account presso la libreria o la biblioteca da cui proviene la pubblicazione, e i messaggi ricevuti.",
			"Provare la passphrase delle altre pubblicazioni della stessa provenienza: di solito è la stessa.",
			"Inserirla esattamente come è stata ricevuta. Maiuscole, spazi e accenti contano.",
		},
		Recover: "Recuperare la passphrase",
		Help:    "Serve altro aiuto?",
		Contact: "Contattare la libreria o la biblioteca da cui proviene la pubblicazione: può ricordare la passphrase o darne una nuova.",
		Caution: "Questa pagina non conosce la passphrase e non chiede mai di inserirla.",
	},
	status.Portuguese: {
		Title: "Encontrar a sua frase-passe",
		Lead:  "A sua publicação abre-se com uma frase-passe. A app de leitura pede-a uma vez em cada dispositivo e depois memoriza-a.",
		Where: "Onde procurar",
		Advice: []string{
			"Leia a dica que a app de leitura mostra quando pede a frase-passe.",
			"Consulte a sua conta na livraria ou biblioteca de onde vem a publicação e as mensagens que lhe enviaram.",
			"Experimente a frase-passe das suas outras publicações da mesma origem: em geral é a mesma.",
			"Escreva-a exatamente como a recebeu. Maiúsculas, espaços e acentos contam.",
		},
		Recover: "Recuperar a sua frase-passe",
		Help:    "Precisa de mais ajuda?",
		Contact: "Contacte a livraria ou biblioteca de onde vem a publicação. Podem lembrar-lhe a frase-passe ou dar-lhe uma nova.",
		Caution: "Esta página não conhece a sua frase-passe e nunca lhe pede que a escreva.",
	},
	status.Dutch: {
		Title: "Uw wachtwoordzin vinden",
		Lead:  "Uw publicatie wordt geopend met een wachtwoordzin. De leesapp vraagt er op elk apparaat één keer om en onthoudt hem daarna.",
		Where: "Waar u kunt zoeken",
		Advice: []string{
			"Lees de hint die de leesapp toont wanneer ze om de wachtwoordzin vraagt.",
			"Kijk in uw account bij de boekhandel of bibliotheek waarvan u de publicatie hebt, en in de berichten die u van hen hebt gekregen.",
			"Probeer de wachtwoordzin van uw andere publicaties van dezelfde aanbieder: meestal is het dezelfde.",
			"Voer hem precies zo in als u hem hebt gekregen. Hoofdletters, spaties en accenten tellen mee.",
		},
		Recover: "Wachtwoordzin opvragen",
		Help:    "Meer hulp nodig?",
		Contact: "Neem contact op met de boekhandel of bibliotheek waarvan u de publicatie hebt. Zij kunnen u de wachtwoordzin vertellen of een nieuwe geven.",
		Caution: "Deze pagina kent uw wachtwoordzin niet en vraagt u nooit om hem in te voeren.",
	},
	status.Japanese: {
		Title: "パスフレーズの確認方法",
		Lead:  "この出版物を開くにはパスフレーズが必要です。閲覧アプリは端末ごとに一度だけパスフレーズを尋ね、その後は記憶します。",
		Where: "確認するところ",
		Advice: []string{
			"閲覧アプリがパスフレーズを尋ねる画面に表示されるヒントをお読みください。",
			"出版物を購入した書店、または借りた図書館のアカウントと、届いたメッセージをご確認ください。",
			"同じ書店や図書館のほかの出版物のパスフレーズをお試しください。多くの場合は同じものです。",
			"受け取ったとおりに正確に入力してください。大文字と小文字、空白、記号も区別されます。",
		},
		Recover: "パスフレーズを再取得する",
		Help:    "お困りのときは",
		Contact: "出版物を購入した書店、または借りた図書館にお問い合わせください。パスフレーズの確認や再発行ができます。",
		Caution: "このページはパスフレーズを保持しておらず、入力を求めることもありません。",
	},
}
