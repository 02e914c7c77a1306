# chmod in both notations, umask, and what stat and ls say
umask 022; : >f; stat -c '%a %A' f
for mode in 600 644 755 4755 2755 1777 000 777; do chmod $mode f; echo "$mode $(stat -c '%a %A' f) $(ls -l f | cut -c1-10)"; done
chmod 644 f; for mode in u+x g+w o-r a+x go= u=rw,g=r,o= +x a=rX u+s g+s o+t ug-x =r u=g g=u a-w,u+w; do chmod $mode f; echo "$mode $(stat -c '%a %A' f)"; done
mkdir d; : >d/x; chmod -R 700 d; stat -c %a d d/x; chmod -R a+rX d; stat -c %a d d/x; chmod 1777 d; stat -c %A d
for u in 000 022 027 077 0777 002; do umask $u; umask; rm -f n; : >n; rm -rf nd; mkdir nd; echo "$u $(stat -c %a n) $(stat -c %a nd)"; done; umask 022; umask -S; umask u=rwx,g=rx,o=; umask; umask 022
chmod 644 missing; echo "status $?"; chmod 999 f; echo "status $?"; chmod u+q f; echo "status $?"; chmod f; echo "status $?"; ln -s f l; chmod 640 l; stat -c %a f; stat -c %A l; chmod -v 600 f 2>/dev/null; stat -L -c %a l
