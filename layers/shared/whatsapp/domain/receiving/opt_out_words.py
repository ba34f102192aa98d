"""The words of STOP and START in each language we write in, by what they mean for `opt_out.py`.

To teach the product a phrase, add its words here and the sentence to `tests/data/opt_out_sentences.tsv`. Phrases stand
here as `opt_out.py` compares them: in lower case and NFKC, blanks for punctuation. A cold start has no time for that.
"""

from collections.abc import Iterator
from itertools import product

NOTHING = ""
"""Courtesy, particles, who is addressed: falls away."""
STOP, WISH_TO_STOP = "s", "S"
"""`stop` says it by itself; `band karna hai` (I want to stop) only where messages are named: it may be the tablets."""
CLOSED, CLOSED_LATIN = "b", "B"
"""बंद is `stop` in short, but also `closed`. In Latin letters it counts only beside `message`."""
SENDING, MESSAGING = "g", "h"
MESSAGES, REMINDER = "m", "r"
"""One reminder may be declined without declining all, so `reminder` counts beside `stop` only."""
UNSUBSCRIBE = "u"
"""Names the messages by itself."""
DO_NOT_SEND, SEND_NOT, DO_NOT, DO_NOT_WANT = "n", "d", "x", "v"
"""मत भेजो says it by itself; the others only beside messages, and `mat karo` only right behind them."""
WISH = "w"
"""`I want to`, `can you`, `yes`: only before what names messages. `I want to stop` may be about therapy."""
YOU = "y"
"""`you stop sending messages` asks for it, `you never send messages` does not."""
NOW = "t"
"""`stop now` is a STOP, `don't send it now` is not."""
START, RESUME, SUBSCRIBE = "i", "I", "j"
"""`start` says it by itself, `resume` only with messages, `subscribe` names them."""


def _each(*parts: str) -> Iterator[str]:
    """Every phrase of one choice from each part, whose choices are parted by `|`."""
    return map(" ".join, product(*(part.split("|") for part in parts)))


_NEVER = "do not|don t|dont|donot|dnt|never|do not ever|don t ever|dont ever"
_I_DO_NOT = "|".join([*_each("i", _NEVER), _NEVER, "i no longer", "no longer"])
_LISTS = "list|messaging list|mailing list|broadcast list|contact list|whatsapp list|contacts"

_LATIN_DO = (
    "karo|kare|karen|karein|kariye|kariyega|karie|kro|kre|kar do|kr do|kardo|krdo|kar de|kar den|kar dein|kar dijiye"
    "|kar dijie|kardijiye|kijiye|kijie|karna|karwa do|karva do|karo na|kar do na"
)
_LATIN_SEND = "bhejo|bheje|bhejen|bhejein|bhejiye|bhejiyega|bhejie|bhejna|bheja karo|dena|dijiye"
_LATIN_DOING = "karo|kare|karen|karein|karna|kariye|kariyega|kijiye|kijiyega|kiya karo|do"
_NAHI = "nahi|nahin|nhi|nai"
_DEVANAGARI_DO = (
    "करो|करे|करें|करिए|करिये|करिएगा|कीजिए|कीजिये|किजिए|किजिये|कर दो|करदो|कर दे|कर दें|कर दीजिए|कर दीजिये|कर दिजिए"
    "|कर दीजिएगा|करना|करवा दो|करो ना|करो न|कर दो ना"
)
_DEVANAGARI_SEND = "भेजो|भेजे|भेजें|भेजिए|भेजिये|भेजिएगा|भेजना|भेजा करो|देना|दीजिए"
_DEVANAGARI_DOING = "करो|करे|करें|करना|करिए|करिये|कीजिए|कीजिये|कीजिएगा|किया करो|दो"

_ENGLISH = {
    NOTHING: (
        *("please", "pls", "plz", "plss", "plzz", "pl", "plse", "kindly", "ok", "okay", "k", "sorry", "and", "just"),
        *("thank you", "thank u", "thankyou", "thanku", "thanks", "thnx", "thx", "tq", "ty", "so much", "very much"),
        *("a lot", "hi", "hii", "hello", "hey", "dear", "good morning", "good afternoon", "good evening", "regards"),
        *(
            "sir",
            "madam",
            "mam",
            "maam",
            "ma am",
            "doctor",
            "doc",
            "dr",
            "team",
            "i said",
            "enough",
            "nonsense",
            "annoying",
            "unwanted",
        ),
        *("me", "us", "my", "the", "these", "those", "this", "that", "it", "all", "any", "more", "any more", "anymore"),
        *("your", "ur", "such", "further", "again", "at all", "immediately", "at once", "right away", "asap"),
        *(
            "from you",
            "from your side",
            "from your clinic",
            "from the clinic",
            "from now",
            "from now on",
            "from today",
            "onwards",
            "my number",
            "this number",
        ),
        *_each("to|on|from|at", "me|us|my number|this number|my no|this no|my phone|my mobile"),
        *("from", "of", "or", "on whatsapp", "in whatsapp", "via whatsapp", "calls and", "calling and"),
        *_each("from|off", "the|your|this", _LISTS),
        *("not interested", "i am not interested", "i m not interested", "im not interested", "wrong number"),
        *_each("this is|you have|it is|its|it s", "the wrong number|a wrong number|wrong number"),
    ),
    STOP: ("stop", "stopp", "stp", "stop it", "stop all", "stopall", "quit"),
    WISH_TO_STOP: ("to stop", "discontinue"),
    SENDING: ("sending", "sendng", "receiving", "recieving", "getting", "delivering"),
    MESSAGING: (
        *("messaging", "msging", "msgng", "texting", "whatsapping", "contacting", "pinging", "spamming", "disturbing"),
        *("bothering", "troubling"),
        *("writing to me", "messaging and calling", "texting and calling"),
    ),
    MESSAGES: (
        *("message", "messages", "msg", "msgs", "mesage", "mesages", "mssg", "mssgs", "text", "texts", "sms", "smses"),
        *("text messages", "whatsapp", "whatsapps", "notification", "notifications", "alerts", "updates", "reminders"),
        *("communication", "communications"),
        *("spam", "messages and calls", "with messages", "with your messages", "with these messages"),
    ),
    REMINDER: ("reminder",),
    UNSUBSCRIBE: (
        *("unsubscribe", "unsubscribed", "unsubcribe", "unsuscribe", "unsubscibe", "opt out", "optout", "opt me out"),
        *("opt us out", "opting out"),
        *_each(_NEVER, "message|msg|text|sms|whatsapp|contact|ping|spam"),
        *_each(_NEVER, "send|send me|send us", "anything"),
        *_each("remove|delete", "my number|this number", "from", "your|the", _LISTS),
        *_each("remove|delete", "my number|this number"),
        *_each("remove|take", "me|us", "from|off", "the", _LISTS.removeprefix("list|")),
        *_each("remove|take", "me|us", "from|off", "your", _LISTS),
    ),
    SEND_NOT: (*_each(_NEVER, "send"), "no need to send", "no need of sending"),
    DO_NOT_WANT: (
        *_each(_I_DO_NOT, "want|need|require|want to receive|want to get|wish to receive|wish to get"),
        *("no more", "no need of", "no need for"),
    ),
    WISH: (
        *("yes", "no", "i want", "can you", "can u", "could you", "would you"),
        *_each("i want|i would like|i d like|id like|i wish|i need|i request", "to|you to|u to"),
        *("i wanna", "want to"),
    ),
    YOU: ("you", "u", "you people", "you guys"),
    NOW: ("now", "right now"),
    START: ("start",),
    RESUME: ("resume", "begin", "restart", "continue", "to start"),
    SUBSCRIBE: ("unstop", "subscribe", "resubscribe", "opt in", "optin", "opt me in", "opt us in"),
}
_HINDI_LATIN = {
    NOTHING: (
        *("kripya", "kripaya", "krupya", "kirpya", "meharbani karke", "mehrbani karke", "dhanyavad", "dhanyavaad"),
        *("dhanyawad", "shukriya", "namaste", "namaskar", "theek hai", "thik hai", "accha", "acha", "ji", "bhai"),
        *("bhaiya", "yaar", "bas", "mujhe", "mujhko", "muje", "hume", "hamen", "hamein", "hame", "humko", "hamko"),
        *(
            "mere ko",
            "aapke",
            "aapka",
            "aapki",
            "apke",
            "apka",
            "ye",
            "yeh",
            "yah",
            "ise",
            "isko",
            "isse",
            "inko",
            "sab",
            "sare",
            "saare",
            "sari",
            "saari",
        ),
        *(
            "sabhi",
            "koi",
            "bhi",
            "aur",
            "ab",
            "ab se",
            "aage se",
            "aaj se",
            "aaj ke baad",
            "dobara",
            "dubara",
            "bar bar",
            "baar baar",
        ),
        *("phir", "fir", "phir se", "fir se", "turant", "galat number", "galat number hai", "wrong number hai"),
        *_each("mere|is|mere is", "number|no|phone", "par|pe|pr|per"),
        *_each("whatsapp", "par|pe|pr|per"),
    ),
    STOP: (
        *_each("band|bandh|bnd|stop", _LATIN_DO),
        *("roko", "rokiye", "rokie", "rokein", "rokna", "rok do", "rok de", "rok dijiye", "rok dein", "stop na"),
    ),
    CLOSED_LATIN: ("band", "bandh", "bnd"),
    WISH_TO_STOP: tuple(
        _each(
            "band|bandh|stop",
            "karna|karwana|karvana",
            "hai|he|h|chahta hu|chahta hun|chahta hoon|chahti hu|chahti hun|chahti hoon|chahte hain|chahte hai",
        )
    ),
    SENDING: ("bhejna", "bhejana", "bhejne", "karna", "krna", "aana", "ana", "dena"),
    MESSAGES: ("sandesh", "mesej"),
    UNSUBSCRIBE: tuple(_each("unsubscribe", _LATIN_DO)),
    DO_NOT_SEND: (*_each("mat|mt|na", _LATIN_SEND), "bhejo mat", "bhejna mat", "bhejiye mat"),
    SEND_NOT: tuple(_each(_NAHI, "bhejo|bhejen|bhejna|bhejiye")),
    DO_NOT: tuple(_each(f"mat|mt|na|{_NAHI}", _LATIN_DOING)),
    DO_NOT_WANT: tuple(_each(_NAHI, "chahiye|chahie|chaiye|chaie|chahiyen")),
    WISH: ("aap", "ap", "aap log", "tum", "tum log", "main", "mai", "haan", "ha"),
    NOW: ("abhi",),
    START: ("shuru", *_each("shuru|suru|chalu|start", _LATIN_DO)),
}
_HINDI = {
    NOTHING: (
        *("कृपया", "कृपा", "कृपा करके", "मेहरबानी करके", "प्लीज", "प्लीज़", "धन्यवाद", "शुक्रिया", "नमस्ते", "नमस्कार", "ठीक है"),
        *(
            "अच्छा",
            "जी",
            "भाई",
            "भैया",
            "यार",
            "बस",
            "सर",
            "मैडम",
            "डॉक्टर",
            "मुझे",
            "मुझको",
            "हमें",
            "हमको",
            "आपके",
            "आपका",
            "आपकी",
            "ये",
            "यह",
            "इसे",
        ),
        *("इसको", "सब", "सारे", "सारी", "सभी", "कोई", "भी", "और", "अब", "अब से", "आगे से", "आज से", "आज के बाद", "दोबारा"),
        *("दुबारा", "फिर", "फिर से", "बार बार", "तुरंत", "व्हाट्सएप पर", "व्हाट्सऐप पर", "व्हाट्सप्प पर"),
        *_each("मेरे|इस", "नंबर|नम्बर|फोन|फ़ोन", "पर|पे"),
        *_each("गलत|ग़लत|रॉन्ग|राँग", "नंबर|नम्बर|नंबर है|नम्बर है"),
    ),
    STOP: (
        *_each("बंद|बन्द|बँद|स्टॉप|स्टाप", _DEVANAGARI_DO),
        *("स्टॉप", "स्टाप", "रोको", "रोकें", "रोकिए", "रोकिये", "रोक दो", "रोक दे", "रोक दें", "रोक दीजिए", "रोक दीजिये"),
    ),
    CLOSED: ("बंद", "बन्द", "बँद"),
    WISH_TO_STOP: tuple(
        _each("बंद|बन्द", "करना|करवाना", "है|चाहता हूँ|चाहता हूं|चाहती हूँ|चाहती हूं|चाहते हैं"),
    ),
    SENDING: ("भेजना", "भेजने", "करना", "आना", "देना"),
    MESSAGES: (
        *("मैसेज", "मेसेज", "मैसेजेस", "मेसेजेस", "मैसेजेज", "मैसेजिस", "मेसज", "संदेश", "सन्देश", "एसएमएस", "व्हाट्सएप"),
        *("व्हाट्सऐप", "व्हाट्सप्प", "नोटिफिकेशन", "रिमाइंडर्स"),
    ),
    REMINDER: ("रिमाइंडर",),
    UNSUBSCRIBE: ("अनसब्सक्राइब", *_each("अनसब्सक्राइब", _DEVANAGARI_DO)),
    DO_NOT_SEND: (*_each("मत|न|ना", _DEVANAGARI_SEND), "भेजो मत", "भेजना मत", "भेजिए मत"),
    SEND_NOT: tuple(_each("नहीं|नही", "भेजो|भेजें|भेजना|भेजिए")),
    DO_NOT: tuple(_each("मत|न|ना|नहीं|नही", _DEVANAGARI_DOING)),
    DO_NOT_WANT: tuple(_each("नहीं|नही", "चाहिए|चाहिये")),
    WISH: ("आप", "आप लोग", "तुम", "मैं", "हाँ", "हां"),
    NOW: ("अभी",),
    START: ("शुरू", "शुरु", "स्टार्ट", *_each("शुरू|शुरु|चालू|चालु|स्टार्ट", _DEVANAGARI_DO)),
}
_TAMIL = {
    NOTHING: (
        *("தயவுசெய்து", "தயவு செய்து", "ப்ளீஸ்", "பிளீஸ்", "நன்றி", "வணக்கம்", "சரி", "ஐயா", "சார்", "சர்", "மேடம்", "டாக்டர்"),
        *("எனக்கு", "எங்களுக்கு", "உங்கள்", "இந்த", "இதை", "எல்லா", "எல்லாம்", "அனைத்து", "எந்த", "இனி", "இனிமேல்", "மேலும்"),
        *("உடனே", "உடனடியாக", "மீண்டும்", "மறுபடியும்", "தவறான எண்", "வாட்ஸ்அப்பில்"),
        *_each("இந்த|என்", "எண்ணுக்கு|நம்பருக்கு"),
        *("enakku", "inimel", "nandri", "dayavu seidhu"),
    ),
    STOP: (
        *("நிறுத்து", "நிறுத்துங்கள்", "நிறுத்துங்க", "நிறுத்தவும்", "நிறுத்துக", "நிறுத்திவிடு", "நிறுத்திவிடுங்கள்"),
        *("நிறுத்திவிடவும்", "நிறுத்தி விடுங்கள்", "நிறுத்தி விடவும்", "நிறுத்திடுங்கள்", "நிறுத்திடுங்க", "ஸ்டாப்"),
        *_each("ஸ்டாப்", "பண்ணுங்க|பண்ணுங்கள்|செய்யுங்கள்|செய்யவும்"),
        *("niruthu", "niruthunga", "niruthungal", "nirutthu", "nirutthunga", "nirutthungal", "niruthavum"),
    ),
    WISH_TO_STOP: ("நிறுத்த முடியுமா", "நிறுத்த விரும்புகிறேன்"),
    SENDING: ("அனுப்புவதை", "அனுப்புவது", "அனுப்புறதை", "அனுப்புறத", "அனுப்பறத", "பண்ணுவதை", "anuppuvadhai"),
    MESSAGES: (
        *("செய்தி", "செய்திகள்", "செய்திகளை", "செய்தியை", "செய்திகளையும்", "செய்தியும்", "குறுஞ்செய்தி", "குறுஞ்செய்திகள்"),
        *("குறுஞ்செய்திகளை", "மெசேஜ்", "மெசேஜை", "மெசேஜும்", "மெசேஜ்கள்", "மெசேஜ்களை", "மெசேஜஸ்", "மெஸேஜ்", "எஸ்எம்எஸ்"),
        *("வாட்ஸ்அப்", "நினைவூட்டல்கள்", "நினைவூட்டல்களை", "அறிவிப்புகள்", "அறிவிப்புகளை"),
    ),
    REMINDER: ("நினைவூட்டல்", "நினைவூட்டலை"),
    SEND_NOT: (
        *("அனுப்பாதீர்கள்", "அனுப்பாதீங்க", "அனுப்பாதிங்க", "அனுப்பாதே", "அனுப்ப வேண்டாம்", "அனுப்பவேண்டாம்", "அனுப்ப கூடாது"),
        *_each("anuppa|anupa", "vendam|vendaam|venam"),
        *("anuppadheenga", "anupadheenga", "anuppatheenga", "anupatheenga", "anuppadhinga", "anuppadheergal"),
    ),
    DO_NOT: ("பண்ணாதீங்க", "பண்ணாதீர்கள்", "செய்யாதீர்கள்", "செய்ய வேண்டாம்", "பண்ண வேண்டாம்"),
    DO_NOT_WANT: ("வேண்டாம்", "தேவையில்லை", "தேவை இல்லை", "vendam", "vendaam", "venda"),
    NOW: ("இப்போது", "இப்போ", "இப்ப"),
    START: ("தொடங்கு", "தொடங்கவும்", "தொடங்குங்கள்", "தொடங்குங்க", "ஆரம்பிக்கவும்", "ஆரம்பியுங்கள்", "ஸ்டார்ட்"),
}
_BENGALI = {
    NOTHING: (
        *("দয়া করে", "দয়াকরে", "অনুগ্রহ করে", "প্লিজ", "প্লীজ", "ধন্যবাদ", "নমস্কার", "ঠিক আছে", "স্যার", "ম্যাডাম", "দাদা"),
        *(
            "দিদি",
            "আমাকে",
            "আমার",
            "আমায়",
            "আমাদের",
            "আপনার",
            "আপনাদের",
            "এই",
            "এসব",
            "এইসব",
            "এই সব",
            "এগুলো",
            "এটা",
            "সব",
            "সমস্ত",
            "সকল",
            "আর",
        ),
        *("কোনো", "কোন", "এখন থেকে", "আজ থেকে", "আবার", "হোয়াটসঅ্যাপে"),
        *_each("এই|আমার", "নম্বরে|নাম্বারে"),
        *_each("ভুল", "নম্বর|নাম্বার"),
        *("amake", "ar", "doya kore", "dhonnobad"),
    ),
    STOP: (
        *_each("বন্ধ|স্টপ", "করুন|করো|কর|করেন|করে দিন|করে দাও|করে দেন"),
        *("স্টপ", "থামান", "থামাও", "থামিয়ে দিন"),
        *_each("bondho|bandho|bondo", "korun|koro|kore din"),
    ),
    CLOSED: ("বন্ধ",),
    WISH_TO_STOP: ("বন্ধ করতে চাই",),
    SENDING: ("পাঠানো", "দেওয়া", "দেয়া", "করা", "আসা", "pathano"),
    MESSAGES: (
        *("মেসেজ", "ম্যাসেজ", "মেসেজগুলো", "মেসেজগুলি", "ম্যাসেজগুলো", "বার্তা", "বার্তাগুলো", "বার্তাগুলি", "এসএমএস"),
        *("হোয়াটসঅ্যাপ", "নোটিফিকেশন", "রিমাইন্ডারগুলো"),
    ),
    REMINDER: ("রিমাইন্ডার",),
    SEND_NOT: (
        *_each("পাঠাবেন|পাঠাবা|পাঠিও|পাঠিয়ো|পাঠাইয়েন", "না"),
        *("পাঠানোর দরকার নেই", "পাঠাতে হবে না", "pathaben na", "pathio na"),
    ),
    DO_NOT: (*_each("করবেন|কোরো|দেবেন|দিবেন|দিও", "না"), "korben na", "diben na"),
    DO_NOT_WANT: ("চাই না", "চাইনা", "লাগবে না", "দরকার নেই", "প্রয়োজন নেই", "chai na", "lagbe na"),
    WISH: ("আমি", "আপনি", "আপনারা", "তুমি"),
    NOW: ("এখন", "এখনই"),
    START: ("শুরু", *_each("শুরু|চালু", "করুন|করো|কর|করে দিন")),
}
LANGUAGES = (_ENGLISH, _HINDI_LATIN, _HINDI, _TAMIL, _BENGALI)
MEANINGS = {phrase: meaning for words in LANGUAGES for meaning, phrases in words.items() for phrase in phrases}
"""What each phrase means."""
