use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text names no currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{code:?} is not a currency with minor units in ISO 4217; give three capital letters, `CZK` for instance"
)]
pub struct UnknownCurrency {
    /// The text as given, cut off at 16 characters.
    pub code: String,
}

impl UnknownCurrency {
    fn new(text: &str) -> Self {
        Self {
            code: text.chars().take(16).collect(),
        }
    }
}

macro_rules! currencies {
    ($($code:ident $exponent:literal $name:literal;)+) => {
        /// A currency of ISO 4217, by its code.
        ///
        /// These are all current codes that have a minor unit, funds codes among them, and those withdrawn since
        /// 2021, because books that were kept in them must stay readable. Metals, `XDR`, `XXX` and the like are
        /// absent: the standard gives them no minor unit, so an amount of them cannot be counted here.
        ///
        /// Persisted as the code. A code or its exponent never changes and is never removed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Currency {
            $(
                #[doc = concat!($name, ".")]
                $code,
            )+
        }

        impl Currency {
            /// Every currency, in the order of the codes.
            // A function, because ALL is the Albanian lek.
            #[must_use]
            pub const fn all() -> &'static [Self] {
                &[$(Self::$code),+]
            }

            /// The three letters.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)+
                }
            }

            /// How many decimals the minor unit takes: 2 for `CZK`, 0 for `JPY`, 3 for `KWD`, 4 for `CLF`.
            #[must_use]
            pub const fn exponent(self) -> u8 {
                match self {
                    $(Self::$code => $exponent,)+
                }
            }
        }
    };
}

// In the order of the codes: a code is found by binary search.
currencies! {
    AED 2 "UAE Dirham";
    AFN 2 "Afghani";
    ALL 2 "Lek";
    AMD 2 "Armenian Dram";
    ANG 2 "Netherlands Antillean Guilder; withdrawn 2025, now XCG";
    AOA 2 "Kwanza";
    ARS 2 "Argentine Peso";
    AUD 2 "Australian Dollar";
    AWG 2 "Aruban Florin";
    AZN 2 "Azerbaijan Manat";
    BAM 2 "Convertible Mark";
    BBD 2 "Barbados Dollar";
    BDT 2 "Taka";
    BGN 2 "Bulgarian Lev; withdrawn 2026, now EUR";
    BHD 3 "Bahraini Dinar";
    BIF 0 "Burundi Franc";
    BMD 2 "Bermudian Dollar";
    BND 2 "Brunei Dollar";
    BOB 2 "Boliviano";
    BOV 2 "Mvdol";
    BRL 2 "Brazilian Real";
    BSD 2 "Bahamian Dollar";
    BTN 2 "Ngultrum";
    BWP 2 "Pula";
    BYN 2 "Belarusian Ruble";
    BZD 2 "Belize Dollar";
    CAD 2 "Canadian Dollar";
    CDF 2 "Congolese Franc";
    CHE 2 "WIR Euro";
    CHF 2 "Swiss Franc";
    CHW 2 "WIR Franc";
    CLF 4 "Unidad de Fomento";
    CLP 0 "Chilean Peso";
    CNY 2 "Yuan Renminbi";
    COP 2 "Colombian Peso";
    COU 2 "Unidad de Valor Real";
    CRC 2 "Costa Rican Colon";
    CUC 2 "Peso Convertible; withdrawn 2021, now CUP";
    CUP 2 "Cuban Peso";
    CVE 2 "Cabo Verde Escudo";
    CZK 2 "Czech Koruna";
    DJF 0 "Djibouti Franc";
    DKK 2 "Danish Krone";
    DOP 2 "Dominican Peso";
    DZD 2 "Algerian Dinar";
    EGP 2 "Egyptian Pound";
    ERN 2 "Nakfa";
    ETB 2 "Ethiopian Birr";
    EUR 2 "Euro";
    FJD 2 "Fiji Dollar";
    FKP 2 "Falkland Islands Pound";
    GBP 2 "Pound Sterling";
    GEL 2 "Lari";
    GHS 2 "Ghana Cedi";
    GIP 2 "Gibraltar Pound";
    GMD 2 "Dalasi";
    GNF 0 "Guinean Franc";
    GTQ 2 "Quetzal";
    GYD 2 "Guyana Dollar";
    HKD 2 "Hong Kong Dollar";
    HNL 2 "Lempira";
    HRK 2 "Kuna; withdrawn 2023, now EUR";
    HTG 2 "Gourde";
    HUF 2 "Forint";
    IDR 2 "Rupiah";
    ILS 2 "New Israeli Sheqel";
    INR 2 "Indian Rupee";
    IQD 3 "Iraqi Dinar";
    IRR 2 "Iranian Rial";
    ISK 0 "Iceland Krona";
    JMD 2 "Jamaican Dollar";
    JOD 3 "Jordanian Dinar";
    JPY 0 "Yen";
    KES 2 "Kenyan Shilling";
    KGS 2 "Som";
    KHR 2 "Riel";
    KMF 0 "Comorian Franc";
    KPW 2 "North Korean Won";
    KRW 0 "Won";
    KWD 3 "Kuwaiti Dinar";
    KYD 2 "Cayman Islands Dollar";
    KZT 2 "Tenge";
    LAK 2 "Lao Kip";
    LBP 2 "Lebanese Pound";
    LKR 2 "Sri Lanka Rupee";
    LRD 2 "Liberian Dollar";
    LSL 2 "Loti";
    LYD 3 "Libyan Dinar";
    MAD 2 "Moroccan Dirham";
    MDL 2 "Moldovan Leu";
    MGA 2 "Malagasy Ariary";
    MKD 2 "Denar";
    MMK 2 "Kyat";
    MNT 2 "Tugrik";
    MOP 2 "Pataca";
    MRU 2 "Ouguiya";
    MUR 2 "Mauritius Rupee";
    MVR 2 "Rufiyaa";
    MWK 2 "Malawi Kwacha";
    MXN 2 "Mexican Peso";
    MXV 2 "Mexican Unidad de Inversion";
    MYR 2 "Malaysian Ringgit";
    MZN 2 "Mozambique Metical";
    NAD 2 "Namibia Dollar";
    NGN 2 "Naira";
    NIO 2 "Cordoba Oro";
    NOK 2 "Norwegian Krone";
    NPR 2 "Nepalese Rupee";
    NZD 2 "New Zealand Dollar";
    OMR 3 "Rial Omani";
    PAB 2 "Balboa";
    PEN 2 "Sol";
    PGK 2 "Kina";
    PHP 2 "Philippine Peso";
    PKR 2 "Pakistan Rupee";
    PLN 2 "Zloty";
    PYG 0 "Guarani";
    QAR 2 "Qatari Rial";
    RON 2 "Romanian Leu";
    RSD 2 "Serbian Dinar";
    RUB 2 "Russian Ruble";
    RWF 0 "Rwanda Franc";
    SAR 2 "Saudi Riyal";
    SBD 2 "Solomon Islands Dollar";
    SCR 2 "Seychelles Rupee";
    SDG 2 "Sudanese Pound";
    SEK 2 "Swedish Krona";
    SGD 2 "Singapore Dollar";
    SHP 2 "Saint Helena Pound";
    SLE 2 "Leone";
    SLL 2 "Old Leone; withdrawn 2023, now SLE";
    SOS 2 "Somali Shilling";
    SRD 2 "Surinam Dollar";
    SSP 2 "South Sudanese Pound";
    STN 2 "Dobra";
    SVC 2 "El Salvador Colon";
    SYP 2 "Syrian Pound";
    SZL 2 "Lilangeni";
    THB 2 "Baht";
    TJS 2 "Somoni";
    TMT 2 "Turkmenistan New Manat";
    TND 3 "Tunisian Dinar";
    TOP 2 "Pa'anga";
    TRY 2 "Turkish Lira";
    TTD 2 "Trinidad and Tobago Dollar";
    TWD 2 "New Taiwan Dollar";
    TZS 2 "Tanzanian Shilling";
    UAH 2 "Hryvnia";
    UGX 0 "Uganda Shilling";
    USD 2 "US Dollar";
    USN 2 "US Dollar (next day)";
    UYI 0 "Uruguay Peso en Unidades Indexadas";
    UYU 2 "Peso Uruguayo";
    UYW 4 "Unidad Previsional";
    UZS 2 "Uzbekistan Sum";
    VED 2 "Bolivar Soberano (digital)";
    VES 2 "Bolivar Soberano";
    VND 0 "Dong";
    VUV 0 "Vatu";
    WST 2 "Tala";
    XAD 2 "Arab Accounting Dinar";
    XAF 0 "CFA Franc BEAC";
    XCD 2 "East Caribbean Dollar";
    XCG 2 "Caribbean Guilder";
    XOF 0 "CFA Franc BCEAO";
    XPF 0 "CFP Franc";
    YER 2 "Yemeni Rial";
    ZAR 2 "Rand";
    ZMW 2 "Zambian Kwacha";
    ZWG 2 "Zimbabwe Gold";
    ZWL 2 "Zimbabwe Dollar; withdrawn 2024, now ZWG";
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all()
            .binary_search_by(|currency| currency.code().cmp(text))
            .ok()
            .and_then(|index| Self::all().get(index))
            .copied()
            .ok_or_else(|| UnknownCurrency::new(text))
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;

        impl serde::de::Visitor<'_> for Code {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a three-letter ISO 4217 code")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Currency, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_three_capitals_and_parses_to_its_own_currency() {
        assert!(Currency::all().is_sorted_by_key(|currency| currency.code()));
        for currency in Currency::all() {
            let code = currency.code();
            assert!(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
            assert_eq!(code.parse(), Ok(*currency));
        }
    }

    #[test]
    fn the_table_has_the_165_current_codes_with_a_minor_unit_and_6_withdrawn_ones() {
        assert_eq!(Currency::all().len(), 165 + 6);
    }

    #[test]
    fn the_exponents_that_are_not_two_are_those_of_the_standard() {
        let with_exponent = |exponent| {
            let codes: Vec<_> = Currency::all()
                .iter()
                .filter(|currency| currency.exponent() == exponent)
                .map(|currency| currency.code())
                .collect();
            codes.join(" ")
        };
        assert_eq!(
            with_exponent(0),
            "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
        );
        assert_eq!(with_exponent(3), "BHD IQD JOD KWD LYD OMR TND");
        assert_eq!(with_exponent(4), "CLF UYW");
        assert!(
            Currency::all()
                .iter()
                .all(|currency| currency.exponent() <= 4)
        );
    }

    #[test]
    fn a_text_that_is_no_code_is_refused_by_name() {
        for text in ["", "czk", "CZ", "CZKK", " CZK", "XAU", "XXX", "ABC"] {
            let error = text.parse::<Currency>().unwrap_err();
            assert_eq!(error.code, text);
            assert!(error.to_string().contains(&format!("{text:?}")));
        }
        let error = "x".repeat(1_000).parse::<Currency>().unwrap_err();
        assert_eq!(error.code.len(), 16);
    }

    #[test]
    fn a_currency_is_persisted_as_its_code() {
        let bytes = rmp_serde::to_vec_named(&Currency::CZK).unwrap();
        assert_eq!(bytes, b"\xa3CZK");
        assert_eq!(
            rmp_serde::from_slice::<Currency>(&bytes).unwrap(),
            Currency::CZK
        );
        let unknown = rmp_serde::from_slice::<Currency>(b"\xa3ABC").unwrap_err();
        assert!(unknown.to_string().contains("ABC"));
    }
}
