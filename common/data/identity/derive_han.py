"""Derives han.tsv (variants and readings of Han characters) from Unicode's Unihan database.

Usage: derive_han.py DIRECTORY > han.tsv, with Unihan_Readings.txt and Unihan_Variants.txt of Unihan 15 in DIRECTORY.
"""

import collections
import re
import sys
import unicodedata

# Pairs that simplification writes alike in words or that are older forms of one character, and that Unihan does not
# link: to a screener they are one.
LINKED = (
    "升昇陞 于於 干乾 么幺麽麼 泛氾 修脩 厘釐 捍扞 夹袷 着著 殢𣨼 圞𪢮 樠𣗊 赞讚𬤮 沈沉 坯坏 面麪 棱稜 别彆 核覈 勋勳 苏甦 绕𰺷 "
    "污汙 泄洩 秘祕 搜蒐 札劄箚 溪谿 叹歎 杠槓 "
    "艳豔 岳嶽 俊儁 昆崑 凌淩 巨鉅 曲麴 游遊 录彔録 榉欅 滟灩 彩綵 托託 咨諮 凶兇 布佈 占佔 苏囌 向嚮 产産 绿緑 颜顔 阅閲 炼鍊 蕴藴 "
    "参蔘 径逕 席蓆 坛罎 冢塚 戚慼 凄悽 采寀 念唸 钟鈡 针鍼 镌鎸 雕鵰琱 沾霑 骂駡 暗闇 术朮 干榦 弥瀰 炖燉 毁燬譭 团糰 签籤 纤縴"
)


def load(path, fields):
    table = collections.defaultdict(dict)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("U+"):
                code, field, value = line.rstrip("\n").split("\t")
                if field in fields:
                    table[chr(int(code[2:], 16))][field] = value
    return table


where = sys.argv[1]
readings = load(
    f"{where}/Unihan_Readings.txt",
    {"kMandarin", "kCantonese", "kHangul", "kTGHZ2013", "kXHC1983", "kHanyuPinlu"},
)
variants = load(
    f"{where}/Unihan_Variants.txt",
    {"kSimplifiedVariant", "kTraditionalVariant", "kZVariant", "kSemanticVariant"},
)
parent = {}


def root(char):
    parent.setdefault(char, char)
    while parent[char] != char:
        parent[char] = parent[parent[char]]
        char = parent[char]
    return char


def chars(value):
    return [chr(int(item.split("<")[0][2:], 16)) for item in value.split()]


def standard(char):
    return "kTGHZ2013" in readings[char]


def classes():
    found = collections.defaultdict(set)
    for char in parent:
        found[root(char)].add(char)
    return found


for char, fields in sorted(variants.items()):
    for field in ("kSimplifiedVariant", "kTraditionalVariant", "kZVariant"):
        for other in chars(fields.get(field, "")):
            parent[root(char)] = root(other)

# A character that no standard table of today has follows its one synonym that is in it.
before = classes()
of = lambda char: before.get(root(char), {char}) if char in parent else {char}
for char, fields in sorted(variants.items()):
    if "kSemanticVariant" in fields and not any(map(standard, of(char))):
        targets = {min(of(v)): v for v in chars(fields["kSemanticVariant"]) if any(map(standard, of(v)))}
        if len(targets) == 1:
            parent[root(char)] = root(next(iter(targets.values())))

for group in LINKED.split():
    for other in group[1:]:
        parent[root(group[0])] = root(other)


def rank(char):
    simplified = chars(variants[char].get("kSimplifiedVariant", ""))
    return (not standard(char), "kHanyuPinlu" not in readings[char], bool(simplified) and char not in simplified, char)


def plain(pinyin):
    decomposed = unicodedata.normalize("NFD", pinyin).replace("u\u0308", "v").replace("\u00ea", "e")
    return "".join(c for c in decomposed if c.isascii() and c.isalpha())


def mandarin(char):
    fields = readings[char]
    found = [plain(item.split("(")[0]) for item in fields.get("kHanyuPinlu", "").split()]
    found += [plain(item) for item in fields.get("kMandarin", "").split()]
    for field in ("kTGHZ2013", "kXHC1983"):
        for item in fields.get(field, "").split():
            found += [plain(reading) for reading in item.split(":")[1].split(",")]
    return found


groups = {}
for members in classes().values():
    ordered = sorted(members, key=rank)
    groups[ordered[0]] = ordered[1:]
for char in list(readings):
    if char not in parent:
        groups[char] = []

print("# Han characters: representative, its variants, Mandarin readings (no tones, v for u with two dots),")
print("# Cantonese readings (Jyutping without tones), Korean readings. Derived by derive_han.py from Unihan 15.0,")
print("# (c) 1991-2022 Unicode, Inc., licence Unicode-3.0; a few pairs were linked by hand, see there.")
for char in sorted(groups):
    members = [char, *groups[char]]
    known = any({"kTGHZ2013", "kXHC1983", "kHanyuPinlu", "kHangul"} & readings[m].keys() for m in members)
    if not known and len(members) == 1:
        continue
    unique = lambda items: ",".join(dict.fromkeys(item for item in items if item))
    pinyin = unique(r for m in members for r in mandarin(m))
    cantonese = unique(re.sub(r"\d", "", r) for m in members for r in readings[m].get("kCantonese", "").split())
    korean = unique(r.split(":")[0] for m in members for r in readings[m].get("kHangul", "").split())
    print(char, "".join(groups[char]), pinyin, cantonese, korean, sep="\t")
