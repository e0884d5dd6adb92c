"""Write ``recipients.csv``: 25,000 made-up people to text, the same bytes every time.

    python example_dags/data/make_recipients.py

Numbers are reserved for fiction, 555-0100 to 555-0199 in 330 area codes, so that they belong to nobody. Some
are the emulator's magic numbers instead (``emulator/comms/outcomes.py``): landlines, opted-out and
unreachable numbers. Some are formatted as people write them, and 62 are not phone numbers at all.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

ROWS = 25_000
OUT = Path(__file__).with_name("recipients.csv")

AREA_CODES = """
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 220 223 224 225 228 229 231 234
    239 240 248 251 252 253 254 256 260 262 267 269 270 272 276 281 301 302 303 304 305 307 308 309 310
    312 313 314 315 316 317 318 319 320 321 323 325 330 331 334 336 337 339 346 347 351 352 360 361 364
    380 385 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 430 432 434 435
    440 442 443 458 463 469 470 475 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516
    517 518 520 530 531 534 539 540 541 551 559 561 562 563 567 570 571 573 574 575 580 585 586 601 602
    603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 626 628 629 630 631 636 641 646 650
    651 657 660 661 662 667 669 678 681 682 701 702 703 704 706 707 708 712 713 714 715 716 717 718 719
    720 724 725 727 731 732 734 737 740 743 747 754 757 760 762 763 765 769 770 772 773 774 775 779 781
    785 786 801 802 803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 838 843 845 847
    848 850 854 856 857 858 859 860 862 863 864 865 870 872 878 901 903 904 906 907 908 909 910 912 913
    914 915 916 917 918 919 920 925 928 929 930 931 934 936 937 938 940 941 947 949 951 952 954 956 959
    970 971 972 973 978 979 980 984 985 989
"""

# People by the ending of their number; one ending is one number in each area code.
SPECIAL = {
    9006: 240,  # a landline
    9610: 160,  # opted out
    9003: 200,  # the handset is unreachable
    9005: 120,  # nobody has the number
    9007: 40,  # filtered by the carrier
    9008: 30,  # failed, and the carrier gave no reason
    9001: 10,  # the queue was full
}

PRETTY = 400  # numbers in a form that people use; {0} area code, {1} the last four digits
FORMS = ["+1 ({0}) 555-{1}", "+1 {0} 555 {1}", "+1-{0}-555-{1}", "+1.{0}.555.{1}", "(+1) {0} 555-{1}"]

MALFORMED = [
    "",
    "n/a",
    "unknown",
    "call after 5 pm",
    "+1202",
    "+44 20",
    "1{0}555{1}",  # without the plus it may be any country's
    "({0}) 555-{1}",
    "+1{0}555{1}{1}{1}",
    "+1{0}555O1{2}",  # the letter, not the digit
    "+0{0}555{1}",
    "ada@example.com",
]
MALFORMED_ROWS = 62

FIRST_NAMES = """
    Ada Alan Amina Anders Beatriz Boris Camila Chen Chidi Clara Dalia Diego Edith Elif Emil Esther Farid
    Fatima Gael Grace Hana Hugo Ida Ines Ivan Jamal Jia Joao Jonas Kaito Katya Lara Leila Liam Lucia
    Mads Maya Mei Mika Nadia Nils Noor Olga Omar Otto Paula Priya Quinn Rafael Rosa Samir Sofia Tariq
    Tomas Uma Vera Wei Yara Yusuf Zoe
"""
LAST_NAMES = """
    Abara Ahmed Almeida Andersen Bauer Bianchi Castro Chandra Cohen Costa Diaz Dubois Eriksen Evans
    Fischer Garcia Haddad Hansen Hoffmann Ito Ivanova Jansen Johnson Kaya Kim Kowalski Kumar Larsen Lee
    Lopez Marino Mbeki Moreau Murphy Nguyen Novak Okafor Olsen Park Patel Pereira Petrov Popescu Reyes
    Rossi Sato Schmidt Silva Singh Smith Suzuki Tanaka Torres Vargas Wang Weber Wilson Yilmaz Young
    Zhang
"""


def numbers(dice: random.Random) -> list[str]:
    """Make the numbers of all rows, no valid one twice, in a random order that is always the same."""
    areas = [int(code) for code in AREA_CODES.split()]
    special = [f"+1{area}555{end}" for end, count in SPECIAL.items() for area in dice.sample(areas, count)]
    malformed = [
        MALFORMED[row % len(MALFORMED)].format(dice.choice(areas), f"01{last:02}", f"{last:02}")
        for row, last in enumerate(dice.sample(range(100), MALFORMED_ROWS))
    ]
    films = [(area, f"01{last:02}") for area in areas for last in range(100)]
    ordinary = dice.sample(films, ROWS - len(special) - len(malformed))
    written = [
        (FORMS[row % len(FORMS)] if row < PRETTY else "+1{0}555{1}").format(*number)
        for row, number in enumerate(ordinary)
    ]
    rows = special + malformed + written
    dice.shuffle(rows)
    return rows


def write(out: Path = OUT) -> None:
    dice = random.Random(25_000)
    with out.open("w", encoding="utf-8", newline="") as file:
        first, last = FIRST_NAMES.split(), LAST_NAMES.split()
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["phone", "name", "order_number"])
        for order, phone in enumerate(numbers(dice), 100_001):
            rows.writerow([phone, f"{dice.choice(first)} {dice.choice(last)}", order])


if __name__ == "__main__":
    write()
