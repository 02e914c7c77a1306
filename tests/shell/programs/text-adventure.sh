# a state machine that reads its input: places, things, a transcript
cat >world <<'E'
hall north library
hall east kitchen
library south hall
kitchen west hall
kitchen down cellar
cellar up kitchen
E
play() {
    place=hall; bag=; lamp=0; put_book=library put_key=cellar; moves=0
    while read -r verb thing; do
        moves=$((moves + 1))
        case $verb in
            north | south | east | west | up | down) to=$(sed -n "s/^$place $verb //p" world); if [ -z "$to" ]; then echo "no way $verb"; elif [ $to = cellar ] && [ $lamp = 0 ]; then echo 'too dark'; else place=$to; echo "you are in the $place"; fi ;;
            take) eval "at=\${put_$thing-}"; if [ "$at" = "$place" ]; then bag="$bag$thing "; eval "put_$thing=bag"; echo "taken: $thing"; else echo "no $thing here"; fi ;;
            drop) case " $bag" in *" $thing "*) bag=$(echo "$bag" | sed "s/$thing //"); eval "put_$thing=$place"; echo "dropped: $thing" ;; *) echo "you have no $thing" ;; esac ;;
            lamp) lamp=$((1 - lamp)); [ $lamp = 1 ] && echo 'it shines' || echo 'it is dark' ;;
            look) echo "the $place; exits: $(sed -n "s/^$place \([a-z]*\) .*/\1/p" world | paste -s -d ' ')"; for t in book key; do eval "[ \$put_$t = $place ] && echo there is a $t" ; done ;;
            bag) echo "you carry: ${bag:-nothing}" ;;
            quit) break ;;
            '') moves=$((moves - 1)) ;;
            *) echo "what is '$verb'?" ;;
        esac
    done
    echo "$moves moves, in the $place with ${bag:-nothing}"
}
play <<'E'
look
take book
north
look
take book
take book
south
east
down
lamp
down
look
take key

up
west
drop book
look
bag
dance now
drop sword
lamp
quit
east
E
printf 'north\nup\n' | play; echo look | play; play </dev/null
